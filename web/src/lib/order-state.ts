/** Which lives of an order are not over. */
import type { Balance, Order } from "@/lib/api-types";

const OVER: ReadonlySet<string> = new Set(["filled", "cancelled", "expired", "rejected"]);

/** Also true of a state that a newer server has and this page does not know yet: rather shown than lost. */
export function isOpen(order: Order): boolean {
  return !OVER.has(order.status);
}

/** The open orders after this news, newest first. An older word about an order never replaces a newer one. */
export function withOrder(orders: readonly Order[], news: Order): readonly Order[] {
  const known = orders.find((order) => order.id === news.id);
  if (known !== undefined && Date.parse(known.updated_at) > Date.parse(news.updated_at)) return orders;
  if (!isOpen(news)) return known === undefined ? orders : orders.filter((order) => order.id !== news.id);
  if (known !== undefined) return orders.map((order) => (order.id === news.id ? news : order));
  return [news, ...orders].toSorted((left, right) => right.created_at.localeCompare(left.created_at));
}

/** The balances after these changes. */
export function withBalances(balances: readonly Balance[], changed: readonly Balance[]): readonly Balance[] {
  const rest = balances.filter((balance) => !changed.some((change) => change.asset === balance.asset));
  return [...rest, ...changed].toSorted((left, right) => left.asset.localeCompare(right.asset));
}
