// Shows offline.html when a page cannot be fetched. It answers navigations only: never the API, never an asset.
const CACHE = "cryptovault-offline-1";

self.addEventListener("install", (event) => {
    event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(["/offline.html", "/offline.css"])));
    self.skipWaiting();
});

self.addEventListener("activate", (event) => {
    event.waitUntil(self.clients.claim());
});

self.addEventListener("fetch", (event) => {
    const { request } = event;
    const path = new URL(request.url).pathname;
    if (path === "/offline.css") {
        event.respondWith(fetch(request).catch(() => caches.match(path)));
        return;
    }
    if (request.mode !== "navigate" || /^\/(api|dev|docs|health)(\/|$)/.test(path)) return;
    event.respondWith(fetch(request).catch(() => caches.match("/offline.html")));
});
