import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { Change } from "@/components/Change";
import { DataView } from "@/components/DataView";
import { Page } from "@/components/layout/Page";
import { PriceText } from "@/components/PriceText";
import { ButtonLink } from "@/components/ui/Button";
import { Card } from "@/components/ui/Card";
import { EmptyNotice } from "@/components/ui/Notice";
import { SkeletonRows } from "@/components/ui/Skeleton";
import { toPixels } from "@/lib/decimal";
import type { Market } from "@/lib/api-types";
import { marketsQuery, pricesQuery, useMe, usePrice, type Prices } from "@/lib/queries";

const MARKETS_SHOWN = 6;

/** What this is, in one screen, with the market as it is at this moment. */
export default function LandingPage() {
  return (
    <Page
      title="Trade on a real order book"
      headingHidden
      className="grid items-center gap-8 py-8 lg:min-h-[70vh] lg:grid-cols-2 lg:gap-16 lg:px-8"
    >
      <div>
        <p aria-hidden="true" className="text-4xl font-bold tracking-tight text-balance sm:text-5xl">
          Trade on a real order book
        </p>
        <p className="mt-4 max-w-prose text-lg text-muted">
          Live prices, market and limit orders, and a portfolio whose every number you can check: each movement of money
          is booked twice, in whole units, and an order that was accepted happens once.
        </p>
        <Welcome />
      </div>
      <LiveMarkets />
    </Page>
  );
}

function Welcome() {
  const me = useMe();
  return (
    <div className="mt-8 flex min-h-12 flex-wrap gap-3">
      {me.data ? (
        <ButtonLink to="/portfolio" tone="primary" size="large">
          Your portfolio
        </ButtonLink>
      ) : (
        <ButtonLink to="/sign-up" tone="primary" size="large">
          Create an account
        </ButtonLink>
      )}
      <ButtonLink to="/markets" size="large">
        See all markets
      </ButtonLink>
    </div>
  );
}

function LiveMarkets() {
  const markets = useQuery(marketsQuery);
  const prices = useQuery({ ...pricesQuery, select: mostTraded });
  return (
    <Card title="Live now" flush>
      <DataView
        query={markets}
        skeleton={<SkeletonRows rows={MARKETS_SHOWN} rowClassName="h-14" />}
        isEmpty={(items) => items.length === 0}
        empty={<EmptyNotice title="No market is open yet." />}
      >
        {(items) => (
          <ul className="min-h-[21rem]">
            {(prices.data ?? []).flatMap((symbol) => {
              const market = items.find((each) => each.base_asset === symbol);
              return market === undefined ? [] : [<MarketLine key={symbol} market={market} />];
            })}
          </ul>
        )}
      </DataView>
    </Card>
  );
}

/** The same array for the same assets: the list is drawn again only when its order changes. */
function mostTraded(prices: Prices): readonly string[] {
  return Object.values(prices)
    .toSorted((left, right) => toPixels(right.volume_24h ?? "0") - toPixels(left.volume_24h ?? "0"))
    .slice(0, MARKETS_SHOWN)
    .map(({ symbol }) => symbol);
}

function MarketLine({ market }: { readonly market: Market }) {
  const price = usePrice(market.base_asset);
  return (
    <li className="border-b border-line last:border-0">
      <Link
        to={`/trade/${market.symbol}`}
        className="grid h-14 grid-cols-[1fr_auto_6rem] items-center gap-4 px-4 -outline-offset-2 hover:bg-raised"
      >
        <span className="min-w-0">
          <span className="font-semibold">{market.base_asset}</span>{" "}
          <span className="text-sm text-muted max-sm:hidden">{market.name}</span>
        </span>
        <PriceText market={market} price={price?.price} className="text-right font-medium" />
        <Change percent={price?.change_24h ?? null} className="text-right text-sm" />
      </Link>
    </li>
  );
}
