import { useEffect } from "react";
import { Button } from "@/components/ui/Button";

const ASK_AGAIN_MS = 1_000;

/** In place of a page whose code could not be fetched; goes by itself when the server can be reached again. */
export function OfflineNotice() {
  useEffect(() => {
    const timer = setInterval(() => {
      // A network is not yet a server: a page that is loaded too early would be the browser's own error.
      if (navigator.onLine) fetch("/offline.html", { method: "HEAD" }).then(reload, () => undefined);
    }, ASK_AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <div className="mx-auto flex max-w-md flex-col items-center gap-4 py-20 text-center">
      <h1 className="text-2xl font-semibold">You are offline</h1>
      <p className="text-muted">
        CryptoVault cannot be reached from here at the moment. Orders that were accepted stay in force.
      </p>
      <Button tone="primary" onClick={reload}>
        Try again
      </Button>
    </div>
  );
}

function reload(): void {
  window.location.reload();
}
