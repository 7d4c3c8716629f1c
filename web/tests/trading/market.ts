import type { Book, Market, Order } from "@/lib/api-types";

export const MARKET: Market = {
  symbol: "BTC-USD",
  base_asset: "BTC",
  quote_asset: "USD",
  name: "Bitcoin",
  status: "trading",
  paused_until: null,
  tick: "0.01",
  lot: "0.0001",
  min_notional: "1",
  max_quantity: "50",
  max_open_orders: 200,
  maker_fee_basis_points: 10,
  taker_fee_basis_points: 20,
  fee_tiers: [],
  price_band_basis_points: 1000,
  slippage_cap_basis_points: 200,
  circuit_breaker: null,
};

export const BOOK: Book = {
  market: "BTC-USD",
  sequence: 1,
  bids: [
    ["99", "2"],
    ["98", "2"],
  ],
  asks: [
    ["101", "2"],
    ["103", "2"],
  ],
  time: "2026-01-15T14:30:00.000Z",
};

export function anOrder(changes: Partial<Order> = {}): Order {
  return {
    id: "0190e7c5-0000-7000-8000-000000000001",
    client_order_id: "mine",
    market: "BTC-USD",
    side: "buy",
    type: "limit",
    status: "open",
    quantity: "1",
    quote_quantity: null,
    filled_quantity: "0",
    filled_quote_quantity: "0",
    price: "90",
    stop_price: null,
    average_price: null,
    time_in_force: "gtc",
    post_only: false,
    fees: [],
    maker_fee_basis_points: 10,
    taker_fee_basis_points: 20,
    created_at: "2026-01-15T14:30:00.000Z",
    updated_at: "2026-01-15T14:30:00.000Z",
    filled_at: null,
    expires_at: null,
    close_reason: null,
    ...changes,
  };
}
