import type { ReactNode } from "react";

/**
 * A table that scrolls sideways where the screen is narrow, by touch and by the arrow keys. A shadow at an edge says that
 * there is more behind it.
 */
export function WideTable({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    // Relative: what only screen readers see has its place in the table, not beyond the edge of the page.
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className="edge-shadows relative overflow-x-auto rounded-b-xl" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full text-sm">{children}</table>
    </div>
  );
}
