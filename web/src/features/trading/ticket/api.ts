import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { showToast } from "@/components/ui/toasts";
import { outcomeOf } from "@/features/trading/ticket/outcome";
import { placeOrder, type OrderDoor } from "@/features/trading/ticket/place-order";
import type { Draft } from "@/features/trading/ticket/ticket-math";
import { api, unwrap } from "@/lib/api-client";
import { ApiError, messageOf } from "@/lib/api-error";
import type { Balance, Market, Order, PlacedOrder, PlaceOrder } from "@/lib/api-types";
import { parseAmount } from "@/lib/decimal";
import { withBalances, withOrder } from "@/lib/order-state";
import { keys } from "@/lib/queries";

export type NewOrder = PlaceOrder & { readonly client_order_id: string };

/** The draft as the API takes it, with an id of its own. Null where a figure cannot be read. */
export function orderOf(draft: Draft, market: Market, clientOrderId: string): NewOrder | null {
  const amount = parseAmount(draft.amount);
  const price = parseAmount(draft.price);
  if (amount === null || (draft.kind === "limit" && price === null)) return null;
  const inQuote = draft.kind === "market" && draft.side === "buy" && draft.unit === "quote";
  return {
    market: market.symbol,
    side: draft.side,
    type: draft.kind,
    ...(inQuote ? { quote_quantity: amount } : { quantity: amount }),
    ...(draft.kind === "limit" ? { price } : {}),
    client_order_id: clientOrderId,
  };
}

const door: OrderDoor = {
  place: (body, key) => unwrap(api.POST("/api/v1/orders", { body, params: { header: { "Idempotency-Key": key } } })),
  find: async (id) => {
    try {
      return await unwrap(
        api.GET("/api/v1/orders/by-client-id/{client_order_id}", { params: { path: { client_order_id: id } } }),
      );
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  },
  now: Date.now,
  wait: (milliseconds) =>
    new Promise((resolve) => {
      setTimeout(resolve, milliseconds);
    }),
};

/** Says what became of the order wherever the person is by then; a failure shows in the ticket while it is there. */
export function usePlaceOrder(market: Market) {
  const client = useQueryClient();
  const [checking, setChecking] = useState(false);
  const ticketIsThere = useRef(true);
  useEffect(() => {
    ticketIsThere.current = true;
    return () => {
      ticketIsThere.current = false;
    };
  }, []);
  const mutation = useMutation({
    mutationFn: (order: NewOrder): Promise<Order | PlacedOrder> => placeOrder(door, order, () => setChecking(true)),
    onSuccess: (order) => {
      showToast(...outcomeOf(order, market));
      if ("balances" in order) {
        client.setQueryData<readonly Balance[]>(keys.balances, (known) => known && withBalances(known, order.balances));
      }
      client.setQueryData<readonly Order[]>(keys.openOrders, (known) => known && withOrder(known, order));
    },
    onError: (error) => {
      if (!ticketIsThere.current) showToast("failed", messageOf(error));
    },
    onSettled: () => {
      setChecking(false);
      for (const queryKey of [keys.orderHistory, keys.fills, keys.portfolio])
        void client.invalidateQueries({ queryKey });
    },
  });
  return { ...mutation, checking };
}
