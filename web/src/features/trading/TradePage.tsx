import { useQuery } from "@tanstack/react-query";
import { useParams } from "react-router";
import { DataView } from "@/components/DataView";
import { Page } from "@/components/layout/Page";
import { ButtonLink } from "@/components/ui/Button";
import { EmptyNotice } from "@/components/ui/Notice";
import { Skeleton } from "@/components/ui/Skeleton";
import { BookPanel } from "@/features/trading/book/BookPanel";
import { ChartPanel } from "@/features/trading/chart/ChartPanel";
import { MarketHeader } from "@/features/trading/MarketHeader";
import { OrdersPanel } from "@/features/trading/orders/OrdersPanel";
import { Ticket } from "@/features/trading/ticket/Ticket";
import type { Market } from "@/lib/api-types";
import { marketsQuery } from "@/lib/queries";

export default function TradePage() {
  const symbol = (useParams()["symbol"] ?? "").toUpperCase();
  const market = useQuery({
    ...marketsQuery,
    select: (markets) => markets.find((each) => each.symbol === symbol) ?? null,
  });
  return (
    <Page title={`Trade ${symbol}`} headingHidden>
      <DataView
        query={market}
        skeleton={
          <div className="pt-4">
            <Skeleton className="h-[70vh] w-full" />
          </div>
        }
        isEmpty={(found) => found === null}
        empty={
          <EmptyNotice title={`There is no market ${symbol}.`}>
            <ButtonLink to="/markets" tone="primary">
              See all markets
            </ButtonLink>
          </EmptyNotice>
        }
      >
        {(found) => found && <MarketView key={found.symbol} market={found} />}
      </DataView>
    </Page>
  );
}

/** On a phone from top to bottom: chart, ticket, book, orders. On a desk the ticket stands on the right. */
function MarketView({ market }: { readonly market: Market }) {
  return (
    <>
      <MarketHeader market={market} />
      <div className="grid gap-4 lg:grid-cols-[minmax(0,1fr)_20rem] xl:grid-cols-[minmax(0,1fr)_18rem_20rem]">
        <ChartPanel market={market} />
        <div className="lg:row-span-3 xl:order-3 xl:row-span-2">
          <Ticket market={market} />
        </div>
        <BookPanel market={market} />
        <div className="min-w-0 xl:order-4 xl:col-span-2">
          <OrdersPanel market={market} />
        </div>
      </div>
    </>
  );
}
