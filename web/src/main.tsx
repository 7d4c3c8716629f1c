import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "@/app/App";
import { applyTheme } from "@/lib/ui-settings";
import "@/index.css";

applyTheme();

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);

if (import.meta.env.PROD && "serviceWorker" in navigator) {
  // It shows one page when there is no network, and touches nothing else.
  navigator.serviceWorker.register("/offline-worker.js").catch(() => undefined);
}
