import type { ReactNode } from "react";
import { Button } from "@/components/ui/Button";
import { classNames } from "@/components/ui/class-names";
import { messageOf, requestIdOf } from "@/lib/api-error";

/** Nothing here yet, and what to do about it. */
export function EmptyNotice({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-3 px-4 py-10 text-center">
      <p className="font-medium">{title}</p>
      {children}
    </div>
  );
}

/** What went wrong, the id to quote when asking about it, and a way to try again. */
export function ErrorNotice({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  return (
    <div role="alert" className="flex flex-col items-center gap-3 px-4 py-10 text-center">
      <p className="font-medium">{messageOf(error)}</p>
      <RequestId error={error} />
      {onRetry && (
        <Button onClick={onRetry} size="small">
          Try again
        </Button>
      )}
    </div>
  );
}

export function RequestId({ error }: { readonly error: unknown }) {
  const id = requestIdOf(error);
  return id === null ? null : (
    <p className="text-xs text-muted">
      Request <code className="font-mono">{id}</code>
    </p>
  );
}

export function FormError({ error, children }: { readonly error: unknown; readonly children?: ReactNode }) {
  if (error === null || error === undefined) return null;
  return (
    <div role="alert" className="rounded-lg border border-down px-3 py-2 text-sm">
      <p>{messageOf(error)}</p>
      {children}
      <RequestId error={error} />
    </div>
  );
}

export function WarningBar({ className, children }: { readonly className?: string; readonly children: ReactNode }) {
  return (
    <p className={classNames("bg-warn-ground px-4 py-2 text-sm text-warn", className)} role="status">
      {children}
    </p>
  );
}
