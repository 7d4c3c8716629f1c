import type { ReactNode } from "react";
import { Money } from "@/components/Money";
import { PriceText } from "@/components/PriceText";
import { spentAsset, type Draft, type Estimate } from "@/features/trading/ticket/ticket-math";
import type { Market } from "@/lib/api-types";
import { decimalsOf, divide } from "@/lib/decimal";
import { formatPercent } from "@/lib/format";

interface SummaryProps {
  readonly draft: Draft;
  readonly market: Market;
  readonly estimate: Estimate | null;
  readonly available: string | undefined;
}

/** What the order would cost at this moment. */
export function Summary({ draft, market, estimate, available }: SummaryProps) {
  const spent = spentAsset(draft, market);
  return (
    <dl className="space-y-1.5 text-sm">
      <Line name="Available">{available === undefined ? NOTHING : <Money value={available} asset={spent} />}</Line>
      <Line name={draft.kind === "market" ? "Price, about" : "Price"}>
        {estimate === null ? NOTHING : <PriceText market={market} price={estimate.price} />}
      </Line>
      <EstimateLines side={draft.side} exact={draft.kind === "limit"} market={market} estimate={estimate} />
    </dl>
  );
}

interface EstimateLinesProps {
  readonly side: "buy" | "sell";
  readonly exact: boolean;
  readonly market: Market;
  readonly estimate: Estimate | null;
}

export function EstimateLines({ side, exact, market, estimate }: EstimateLinesProps) {
  const { base_asset: base, quote_asset: quote } = market;
  const about = exact ? "" : ", about";
  return (
    <>
      <Line name={side === "buy" ? `You get${about}` : "You sell"}>
        {estimate === null ? (
          NOTHING
        ) : (
          <Money value={estimate.quantity} asset={base} maxDecimals={decimalsOf(market.lot)} />
        )}
      </Line>
      <Line name={estimate === null ? "Fee" : `Fee (${formatPercent(divide(String(estimate.feeBasisPoints), "100"))})`}>
        {estimate === null ? NOTHING : <Money value={estimate.fee} asset={quote} />}
      </Line>
      <Line strong name={side === "buy" ? `Total${about}` : `You get${about}`}>
        {estimate === null ? NOTHING : <Money value={estimate.total} asset={quote} />}
      </Line>
    </>
  );
}

const NOTHING = <span className="text-muted">–</span>;

export function Line({
  name,
  strong = false,
  children,
}: {
  readonly name: string;
  readonly strong?: boolean;
  readonly children: ReactNode;
}) {
  return (
    <div
      className={
        strong ? "flex justify-between gap-4 border-t border-line pt-2 font-semibold" : "flex justify-between gap-4"
      }
    >
      <dt className={strong ? "" : "text-muted"}>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
