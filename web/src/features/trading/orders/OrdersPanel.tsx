import { useQuery } from "@tanstack/react-query";
import { useLocation } from "react-router";
import { ButtonLink } from "@/components/ui/Button";
import { EmptyNotice } from "@/components/ui/Notice";
import { Tabs } from "@/components/ui/Tabs";
import { OpenOrders } from "@/features/trading/orders/OpenOrders";
import { OrderHistory } from "@/features/trading/orders/OrderHistory";
import type { Market } from "@/lib/api-types";
import { openOrdersQuery, useMe } from "@/lib/queries";

/** Your orders in all markets: what waits, and what was. */
export function OrdersPanel({ market }: { readonly market: Market }) {
  const me = useMe();
  const { pathname } = useLocation();
  const signedIn = Boolean(me.data);
  const open = useQuery({ ...openOrdersQuery, enabled: signedIn, select: (orders) => orders.length });
  return (
    <section aria-label="Your orders" className="min-h-64 rounded-xl border border-line bg-surface">
      {signedIn ? (
        <Tabs
          label="Your orders"
          tabs={[
            { id: "open", label: `Open orders (${open.data ?? "…"})`, content: <OpenOrders /> },
            { id: "history", label: "History", content: <OrderHistory market={market} /> },
          ]}
        />
      ) : (
        <EmptyNotice title="Sign in to see your orders.">
          <ButtonLink to="/sign-in" state={{ from: pathname }}>
            Sign in
          </ButtonLink>
        </EmptyNotice>
      )}
    </section>
  );
}
