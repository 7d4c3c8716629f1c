import { classNames } from "@/components/ui/class-names";
import { isNegative, isZero } from "@/lib/decimal";
import { formatPercent } from "@/lib/format";

/** A change in per cent: arrow, sign and colour say the same. */
export function Change({ percent, className }: { readonly percent: string | null; readonly className?: string }) {
  if (percent === null) return <span className={classNames("text-muted", className)}>n/a</span>;
  const tone = isZero(percent) ? "text-muted" : isNegative(percent) ? "text-down" : "text-up";
  const arrow = isZero(percent) ? "" : isNegative(percent) ? "▼" : "▲";
  return (
    <span className={classNames("figures whitespace-nowrap", tone, className)}>
      <span aria-hidden="true" className="mr-1 text-[0.7em]">
        {arrow}
      </span>
      {formatPercent(percent, { signed: true })}
    </span>
  );
}
