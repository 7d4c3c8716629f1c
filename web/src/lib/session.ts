/**
 * The browser's half of a session. Its tokens are HttpOnly cookies that no script sees; what a script sees is the
 * CSRF cookie, which lives as long as the session and changes at every refresh.
 */

const CSRF_COOKIE = "__Host-cv_csrf";
const CHANNEL = "cryptovault-session";

export type SessionNews = "signed-in" | "signed-out";

/** Null where nobody is signed in. */
export function csrfToken(): string | null {
  for (const part of document.cookie.split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === CSRF_COOKIE && value) return value;
  }
  return null;
}

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(CHANNEL) : null;
const listeners = new Set<(news: SessionNews) => void>();

channel?.addEventListener("message", (event: MessageEvent<SessionNews>) => {
  for (const listener of listeners) listener(event.data);
});

/** Says it to this tab and all others. */
export function tellTabs(news: SessionNews): void {
  channel?.postMessage(news);
  for (const listener of listeners) listener(news);
}

export function onSessionNews(listener: (news: SessionNews) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
