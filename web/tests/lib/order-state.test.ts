import { expect, test } from "vitest";
import { withBalances, withOrder } from "@/lib/order-state";
import { anOrder } from "../trading/market";

test("a new order comes first, a closed one goes", () => {
  const old = anOrder({ id: "old", created_at: "2026-01-15T10:00:00.000Z" });
  const fresh = anOrder({ id: "fresh", created_at: "2026-01-15T11:00:00.000Z" });
  const both = withOrder([old], fresh);
  expect(both.map(({ id }) => id)).toEqual(["fresh", "old"]);
  expect(withOrder(both, { ...old, status: "filled" }).map(({ id }) => id)).toEqual(["fresh"]);
});

test("older news never replaces newer", () => {
  const now = anOrder({ filled_quantity: "0.5", updated_at: "2026-01-15T14:31:00.000Z" });
  const before = anOrder({ filled_quantity: "0.1", updated_at: "2026-01-15T14:30:30.000Z" });
  expect(withOrder([now], before)).toEqual([now]);
});

test("news of an order closed before we knew it changes nothing", () => {
  expect(withOrder([], anOrder({ status: "cancelled" }))).toEqual([]);
});

test("balances that changed replace what was known of their asset", () => {
  const usd = { asset: "USD", available: "900", held: "0" };
  const btc = { asset: "BTC", available: "1", held: "0" };
  const known = [{ ...usd, available: "1000" }];
  expect(withBalances(known, [usd, btc])).toEqual([btc, usd]);
});
