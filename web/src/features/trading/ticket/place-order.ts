/** Sends an order once, and finds out what became of it when the answer is lost. */
import { ApiError, NetworkError, SaidError } from "@/lib/api-error";
import type { Order, PlacedOrder, PlaceOrder } from "@/lib/api-types";

// An order's own deadline is 2 s: who does not know it after this long never took it.
const SETTLED_AFTER_MS = 5_000;
const ASK_EVERY_MS = 700;
const ASK_FOR_MS_MAX = 60_000;
const UNKNOWN_REASONS = new Set(["outcome_unknown", "deadline_exceeded", "unavailable", "cancelled", ""]);

export interface OrderDoor {
  readonly place: (order: PlaceOrder, key: string) => Promise<PlacedOrder>;
  /** Null where nobody knows such an order. */
  readonly find: (clientOrderId: string) => Promise<Order | null>;
  readonly now: () => number;
  readonly wait: (milliseconds: number) => Promise<void>;
}

/** It is certain that the order was not taken: it may be placed again. */
export class OrderNotTaken extends SaidError {
  override readonly name = "OrderNotTaken";

  constructor() {
    super("The order did not reach the exchange. Nothing was bought or sold; you can place it again.");
  }
}

/** Nobody could say for a long time. */
export class OrderUnknown extends SaidError {
  override readonly name = "OrderUnknown";

  constructor() {
    super("We could not find out whether the order was taken. Look at your orders before you place it again.");
  }
}

/**
 * The order as the exchange has it. An order whose answer was lost is asked for by its client id; it is never sent
 * twice. `onChecking` is called when that begins. Throws ApiError for a refusal, OrderNotTaken, OrderUnknown.
 */
export async function placeOrder(
  door: OrderDoor,
  order: PlaceOrder & { readonly client_order_id: string },
  onChecking: () => void,
): Promise<Order | PlacedOrder> {
  const sentAt = door.now();
  try {
    return await door.place(order, order.client_order_id);
  } catch (error) {
    if (!isOutcomeUnknown(error)) throw error;
  }
  onChecking();
  return findOut(door, order.client_order_id, sentAt);
}

async function findOut(door: OrderDoor, clientOrderId: string, sentAt: number): Promise<Order> {
  while (door.now() - sentAt < ASK_FOR_MS_MAX) {
    const askedAt = door.now();
    try {
      // One question after another is the point.
      // oxlint-disable-next-line no-await-in-loop
      const found = await door.find(clientOrderId);
      if (found !== null) return found;
      if (askedAt - sentAt > SETTLED_AFTER_MS) throw new OrderNotTaken();
    } catch (error) {
      if (!isOutcomeUnknown(error)) throw error;
    }
    // oxlint-disable-next-line no-await-in-loop
    await door.wait(ASK_EVERY_MS);
  }
  throw new OrderUnknown();
}

function isOutcomeUnknown(error: unknown): boolean {
  if (error instanceof NetworkError) return true;
  return error instanceof ApiError && error.status >= 500 && UNKNOWN_REASONS.has(error.reason);
}
