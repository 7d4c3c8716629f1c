import { Money } from "@/components/Money";
import type { Market } from "@/lib/api-types";
import { decimalsOf } from "@/lib/decimal";

interface PriceTextProps {
  readonly market: Pick<Market, "tick" | "quote_asset">;
  readonly price: string | undefined;
  readonly className?: string;
}

/** A market's price with as many digits as its tick has. */
export function PriceText({ market, price, className = "" }: PriceTextProps) {
  if (price === undefined) return <span className={`text-muted ${className}`}>…</span>;
  const decimals = decimalsOf(market.tick);
  return (
    <Money
      value={price}
      asset={market.quote_asset}
      personal={false}
      minDecimals={decimals}
      maxDecimals={decimals}
      className={className}
    />
  );
}
