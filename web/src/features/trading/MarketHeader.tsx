import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useNavigate } from "react-router";
import { Change } from "@/components/Change";
import { PriceText } from "@/components/PriceText";
import type { Market } from "@/lib/api-types";
import { formatCompactDollars } from "@/lib/format";
import { marketsQuery, useIsUnpriced, usePrice } from "@/lib/queries";

/** Which market this is, and how it stands. */
export function MarketHeader({ market }: { readonly market: Market }) {
  const price = usePrice(market.base_asset);
  const unpriced = useIsUnpriced(market.base_asset);
  return (
    <div className="flex flex-wrap items-center gap-x-8 gap-y-3 py-4">
      <MarketSelect market={market} />
      <PriceText market={market} price={price?.price} className="text-2xl font-semibold" />
      <dl className="flex flex-wrap gap-x-6 gap-y-1 text-sm">
        <Figure name="24 h">
          <Change percent={price?.change_24h ?? null} />
        </Figure>
        <Figure name="High">
          <PriceText market={market} price={price?.high_24h ?? undefined} />
        </Figure>
        <Figure name="Low">
          <PriceText market={market} price={price?.low_24h ?? undefined} />
        </Figure>
        <Figure name="Volume">
          <span className="figures">{price?.volume_24h ? formatCompactDollars(price.volume_24h) : "…"}</span>
        </Figure>
      </dl>
      {market.status !== "trading" && <Notice>This market is {market.status.replaceAll("_", " ")}.</Notice>}
      {unpriced && <Notice>This market has no price yet: it takes no orders.</Notice>}
    </div>
  );
}

function Notice({ children }: { readonly children: ReactNode }) {
  return <p className="rounded-md bg-warn-ground px-2 py-1 text-sm text-warn">{children}</p>;
}

function Figure({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function MarketSelect({ market }: { readonly market: Market }) {
  const markets = useQuery(marketsQuery);
  const navigate = useNavigate();
  return (
    <label className="max-w-full">
      <span className="sr-only">Market</span>
      <select
        value={market.symbol}
        onChange={(event) => void navigate(`/trade/${event.target.value}`)}
        className="min-h-11 max-w-full rounded-lg border border-control-line bg-surface px-3 text-lg font-semibold"
      >
        {(markets.data ?? [market]).map(({ symbol, name }) => (
          <option key={symbol} value={symbol}>
            {symbol} · {name}
          </option>
        ))}
      </select>
    </label>
  );
}
