import type { ReactNode } from "react";
import { Page } from "@/components/layout/Page";

export function AuthCard({
  title,
  lead,
  children,
}: {
  readonly title: string;
  readonly lead?: ReactNode;
  readonly children: ReactNode;
}) {
  return (
    <Page title={title} headingHidden className="mx-auto w-full max-w-md py-8 sm:py-14">
      <div className="rounded-2xl border border-line bg-surface p-6 sm:p-8">
        <p aria-hidden="true" className="text-2xl font-semibold tracking-tight">
          {title}
        </p>
        {lead !== undefined && <p className="mt-1 text-sm text-muted">{lead}</p>}
        <div className="mt-6">{children}</div>
      </div>
    </Page>
  );
}
