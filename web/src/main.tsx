import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "@/app/App";
import { marketsQuery, pricesQuery } from "@/lib/queries";
import { queryClient } from "@/lib/query-client";
import { applyTheme } from "@/lib/ui-settings";
import "@/index.css";

applyTheme();

// Asked for while the code of the page is still on its way: nearly every page shows them first.
void queryClient.prefetchQuery(marketsQuery);
void queryClient.prefetchQuery(pricesQuery);

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
