import { expect, test, vi } from "vitest";
import { OrderNotTaken, OrderUnknown, placeOrder, type OrderDoor } from "@/features/trading/ticket/place-order";
import { ApiError, NetworkError } from "@/lib/api-error";
import type { Order } from "@/lib/api-types";
import { anOrder } from "./market";

const ORDER = {
  market: "BTC-USD",
  side: "buy",
  type: "market",
  quote_quantity: "10",
  client_order_id: "mine",
} as const;

function refusal(status: number, reason: string): ApiError {
  return new ApiError(status, { message: "No.", details: { reason } }, new Headers());
}

/** A door whose time passes only while one waits; `place` and `find` do what they are told. */
function doorWith(parts: Pick<OrderDoor, "place" | "find">): OrderDoor & { readonly placed: () => number } {
  let now = 0;
  const place = vi.fn(parts.place);
  return {
    place,
    find: parts.find,
    now: () => now,
    wait: (milliseconds) => {
      now += milliseconds;
      return Promise.resolve();
    },
    placed: () => place.mock.calls.length,
  };
}

const lost = () => Promise.reject(new NetworkError("gone"));

test("an answer is the order, and nothing is checked", async () => {
  const checking = vi.fn();
  const door = doorWith({ place: () => Promise.resolve({ ...anOrder(), fills: [], balances: [] }), find: lost });
  expect(await placeOrder(door, ORDER, checking)).toMatchObject({ id: anOrder().id });
  expect(checking).not.toHaveBeenCalled();
});

test.each([
  ["a lost line", new NetworkError("gone")],
  ["an unknown outcome", refusal(503, "outcome_unknown")],
  ["a deadline", refusal(503, "deadline_exceeded")],
])("after %s the order is looked for, and never sent again", async (_name, error) => {
  const answers: (() => Promise<Order | null>)[] = [
    lost,
    () => Promise.resolve(null),
    () => Promise.resolve(anOrder()),
  ];
  const checking = vi.fn();
  const door = doorWith({ place: () => Promise.reject(error), find: () => answers.shift()?.() ?? lost() });
  expect(await placeOrder(door, ORDER, checking)).toMatchObject({ id: anOrder().id });
  expect(checking).toHaveBeenCalledOnce();
  expect(door.placed()).toBe(1);
});

test.each([
  ["insufficient funds", refusal(422, "insufficient_funds")],
  ["a stale price", refusal(503, "stale_price")],
])("%s is a refusal, not a question", async (_name, error) => {
  const checking = vi.fn();
  const door = doorWith({ place: () => Promise.reject(error), find: lost });
  await expect(placeOrder(door, ORDER, checking)).rejects.toBe(error);
  expect(checking).not.toHaveBeenCalled();
});

test("nobody knowing it counts only after its deadline has long passed", async () => {
  let asked = 0;
  const door = doorWith({
    place: lost,
    find: () => {
      asked += 1;
      return Promise.resolve(null);
    },
  });
  await expect(placeOrder(door, ORDER, vi.fn())).rejects.toThrow(OrderNotTaken);
  expect(door.now()).toBeGreaterThan(5_000);
  expect(asked).toBeGreaterThan(3);
});

test("while nobody answers, nothing is claimed", async () => {
  const door = doorWith({ place: lost, find: lost });
  await expect(placeOrder(door, ORDER, vi.fn())).rejects.toThrow(OrderUnknown);
  expect(door.placed()).toBe(1);
});
