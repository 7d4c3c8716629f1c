import { Component, type ReactNode } from "react";
import { OfflineNotice } from "@/app/OfflineNotice";
import { Button } from "@/components/ui/Button";

interface Props {
  readonly children: ReactNode;
}

interface State {
  readonly error: unknown;
}

/** One page's failure leaves the frame around it standing. Give it a `key` per page. */
export class ErrorBoundary extends Component<Props, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    if (!navigator.onLine) return <OfflineNotice />;
    return (
      <div role="alert" className="mx-auto flex max-w-md flex-col items-center gap-4 py-20 text-center">
        <h1 className="text-2xl font-semibold">This page has stopped working</h1>
        <p className="text-muted">Nothing you did was lost. Load the page again, or go on elsewhere.</p>
        <Button tone="primary" onClick={() => window.location.reload()}>
          Load again
        </Button>
      </div>
    );
  }
}
