import { render } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { describe, expect, test } from "vitest";
import { OrderTable } from "@/features/trading/orders/OrderTable";
import { outcomeOf } from "@/features/trading/ticket/outcome";
import type { Order } from "@/lib/api-types";
import { withOrder } from "@/lib/order-state";
import { anOrder, MARKET } from "./market";

function shown(order: Order): string {
  const { container, unmount } = render(
    <MemoryRouter>
      <OrderTable orders={[order]} />
    </MemoryRouter>,
  );
  const text = container.querySelector("tbody")?.textContent ?? "";
  unmount();
  return text;
}

/** As a newer server may send it. */
function ofTomorrow(changes: Record<string, unknown>): Order {
  return anOrder(changes as Partial<Order>);
}

describe("an order that this page has not been written for", () => {
  const unknown = ofTomorrow({ type: "trailing_stop_limit", status: "half_triggered" });

  test("is shown in the words of the server", () => {
    expect(shown(unknown)).toContain("Buy · trailing stop limit");
    expect(shown(unknown)).toContain("half triggered");
  });

  test("stays among the open ones", () => {
    expect(withOrder([], unknown)).toEqual([unknown]);
  });
});

test("a stop order says at which price it wakes", () => {
  expect(shown(anOrder({ type: "stop_limit", status: "new", stop_price: "95" }))).toContain("$90.00stop $95.00");
  expect(shown(anOrder({ type: "stop", status: "new", price: null, stop_price: "95" }))).toContain("Marketstop $95.00");
});

test.each([
  ["new", "Waiting"],
  ["expired", "Expired"],
  ["rejected", "Refused"],
] as const)("%s is said as %s", (status, words) => {
  expect(shown(anOrder({ status }))).toContain(words);
});

describe("what is said of an order that was answered for", () => {
  test.each([
    [{ status: "open" }, ["done", "The order is in the book: buy 1\u00a0BTC."]],
    [{ status: "new", type: "stop" }, ["done", "The order was taken, and waits."]],
    [{ status: "rejected" }, ["failed", "The exchange refused the order: nothing was bought or sold."]],
    [{ status: "cancelled" }, ["failed", "Nobody was there to trade with: nothing was bought or sold."]],
    [
      { status: "partially_filled", filled_quantity: "0.5", average_price: "90" },
      ["done", "Bought 0.5\u00a0BTC at $90.00. The rest is in the book."],
    ],
    [
      { status: "cancelled", filled_quantity: "0.5", average_price: "90" },
      ["done", "Bought 0.5\u00a0BTC at $90.00. The rest was not traded."],
    ],
    [
      { status: "filled", filled_quantity: "1", average_price: "90", side: "sell" },
      ["done", "Sold 1\u00a0BTC at $90.00."],
    ],
  ] as const)("%j", (changes, said) => {
    expect(outcomeOf(anOrder(changes as Partial<Order>), MARKET)).toEqual(said);
  });
});
