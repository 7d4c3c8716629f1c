import { useInfiniteQuery } from "@tanstack/react-query";
import { DataView } from "@/components/DataView";
import { Button } from "@/components/ui/Button";
import { EmptyNotice } from "@/components/ui/Notice";
import { SkeletonRows } from "@/components/ui/Skeleton";
import { orderHistoryQuery } from "@/features/trading/orders/api";
import { OrderTable } from "@/features/trading/orders/OrderTable";
import type { Market } from "@/lib/api-types";

export function OrderHistory({ market }: { readonly market: Market }) {
  const history = useInfiniteQuery(orderHistoryQuery);
  return (
    <DataView
      query={history}
      skeleton={<SkeletonRows rows={3} />}
      isEmpty={({ pages }) => pages[0]?.items.length === 0 && pages[0].next_cursor === null}
      empty={
        <EmptyNotice title="You have not placed an order yet.">
          <p className="text-sm text-muted">The ticket for {market.base_asset} is on this page.</p>
        </EmptyNotice>
      }
    >
      {({ pages }) => (
        <>
          <OrderTable orders={pages.flatMap(({ items }) => items)} />
          {history.hasNextPage && (
            <div className="border-t border-line p-3 text-center">
              <Button size="small" disabled={history.isFetchingNextPage} onClick={() => void history.fetchNextPage()}>
                {history.isFetchingNextPage ? "Loading…" : "Older orders"}
              </Button>
            </div>
          )}
        </>
      )}
    </DataView>
  );
}
