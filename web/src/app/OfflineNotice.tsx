import { Button } from "@/components/ui/Button";

export function OfflineNotice() {
  return (
    <div className="mx-auto flex max-w-md flex-col items-center gap-4 py-20 text-center">
      <h1 className="text-2xl font-semibold">You are offline</h1>
      <p className="text-muted">
        CryptoVault cannot be reached from here at the moment. Orders that were accepted stay in force.
      </p>
      <Button tone="primary" onClick={() => window.location.reload()}>
        Try again
      </Button>
    </div>
  );
}
