import { useQuery } from "@tanstack/react-query";
import { DataView } from "@/components/DataView";
import { Button } from "@/components/ui/Button";
import { EmptyNotice } from "@/components/ui/Notice";
import { SkeletonRows } from "@/components/ui/Skeleton";
import { useCancelOrder } from "@/features/trading/orders/api";
import { OrderTable } from "@/features/trading/orders/OrderTable";
import type { Order } from "@/lib/api-types";
import { openOrdersQuery } from "@/lib/queries";

export function OpenOrders() {
  const orders = useQuery(openOrdersQuery);
  return (
    <DataView
      query={orders}
      skeleton={<SkeletonRows rows={3} />}
      isEmpty={(items) => items.length === 0}
      empty={
        <EmptyNotice title="No open orders.">
          <p className="text-sm text-muted">A limit order waits here until its price comes.</p>
        </EmptyNotice>
      }
    >
      {(items) => <OrderTable orders={items} action={(order) => <CancelButton order={order} />} />}
    </DataView>
  );
}

function CancelButton({ order }: { readonly order: Order }) {
  const cancel = useCancelOrder();
  return (
    <Button
      size="small"
      disabled={cancel.isPending}
      aria-label={`Cancel the order to ${order.side} ${order.market}`}
      onClick={() => cancel.mutate(order)}
    >
      {cancel.isPending ? "Cancelling…" : "Cancel"}
    </Button>
  );
}
