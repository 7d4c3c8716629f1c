import type { Market, Order } from "@/lib/api-types";
import { decimalsOf, isZero } from "@/lib/decimal";
import { formatMoney } from "@/lib/format";

/** What to say of an order that the exchange has answered for. */
export function outcomeOf(order: Order, market: Market): ["done" | "failed", string] {
  const done = order.side === "buy" ? "Bought" : "Sold";
  const filled = formatMoney(order.filled_quantity, market.base_asset);
  if (isZero(order.filled_quantity)) {
    if (order.status === "cancelled" || order.status === "rejected" || order.status === "expired") {
      return ["failed", "Nobody was there to trade with: nothing was bought or sold."];
    }
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
  const rest = order.status === "filled" || order.type === "market" ? "" : " The rest is in the book.";
  return ["done", `${done} ${filled}${price}.${rest}`];
}
