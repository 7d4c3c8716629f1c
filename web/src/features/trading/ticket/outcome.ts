import type { Market, Order } from "@/lib/api-types";
import { decimalsOf, isZero } from "@/lib/decimal";
import { formatMoney } from "@/lib/format";
import { isOpen } from "@/lib/order-state";

/** What to say of an order that the exchange has answered for. */
export function outcomeOf(order: Order, market: Market): ["done" | "failed", string] {
  const done = order.side === "buy" ? "Bought" : "Sold";
  const filled = formatMoney(order.filled_quantity, market.base_asset);
  if (isZero(order.filled_quantity)) {
    if (order.status === "rejected") return ["failed", "The exchange refused the order: nothing was bought or sold."];
    if (!isOpen(order)) return ["failed", "Nobody was there to trade with: nothing was bought or sold."];
    if (order.status !== "open") return ["done", "The order was taken, and waits."];
    return [
      "done",
      `The order is in the book: ${order.side} ${formatMoney(order.quantity ?? "0", market.base_asset)}.`,
    ];
  }
  const decimals = decimalsOf(market.tick);
  const price =
    order.average_price === null
      ? ""
      : ` at ${formatMoney(order.average_price, market.quote_asset, { minDecimals: decimals, maxDecimals: decimals })}`;
  const rest = isOpen(order)
    ? " The rest is in the book."
    : order.status === "filled"
      ? ""
      : " The rest was not traded.";
  return ["done", `${done} ${filled}${price}.${rest}`];
}
