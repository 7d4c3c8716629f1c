import { infiniteQueryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { showToast } from "@/components/ui/toasts";
import { api, unwrap } from "@/lib/api-client";
import { ApiError, messageOf } from "@/lib/api-error";
import type { Order, OrderPage } from "@/lib/api-types";
import { withOrder } from "@/lib/order-state";
import { keys } from "@/lib/queries";

const PAGE_SIZE = "20";

/** All orders, newest first, page by page. */
export const orderHistoryQuery = infiniteQueryOptions({
  queryKey: keys.orderHistory,
  queryFn: ({ pageParam }): Promise<OrderPage> =>
    unwrap(
      api.GET("/api/v1/orders", {
        params: { query: { limit: PAGE_SIZE, ...(pageParam === null ? {} : { cursor: pageParam }) } },
      }),
    ),
  initialPageParam: null as string | null,
  getNextPageParam: (page) => page.next_cursor,
});

export function useCancelOrder() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (order: Order) =>
      unwrap(api.DELETE("/api/v1/orders/{order_id}", { params: { path: { order_id: order.id } } })),
    onSuccess: (order) => {
      client.setQueryData<readonly Order[]>(keys.openOrders, (known) => known && withOrder(known, order));
      showToast("done", `The order to ${order.side} ${order.market} is cancelled.`);
    },
    onError: (error) => {
      // Filled or cancelled in the meantime: the list was old, and is asked for again below.
      const late = error instanceof ApiError && error.reason === "order_not_open";
      showToast("failed", late ? "It was too late: the order is no longer open." : messageOf(error));
    },
    onSettled: () => {
      for (const queryKey of [keys.openOrders, keys.orderHistory]) void client.invalidateQueries({ queryKey });
    },
  });
}
