/** What an order would cost, and what is wrong with it. The server decides; this says beforehand what it will say. */
import type { Book, Market } from "@/lib/api-types";
import {
  add,
  asTyped,
  basisPointsOf,
  compare,
  decimalsOf,
  divide,
  isMultipleOf,
  isZero,
  multiply,
  parseAmount,
  percentOf,
  pointName,
  roundToStep,
  smaller,
  subtract,
} from "@/lib/decimal";
import { formatMoney } from "@/lib/format";

export type Side = "buy" | "sell";
export type Kind = "market" | "limit";
/** What the amount is counted in. Only a market buy may be counted in the quote asset. */
export type Unit = "base" | "quote";

export interface Draft {
  readonly side: Side;
  readonly kind: Kind;
  readonly unit: Unit;
  /** As typed. */
  readonly amount: string;
  readonly price: string;
}

export interface Surroundings {
  readonly market: Market;
  readonly book: Book | undefined;
  readonly livePrice: string | undefined;
  /** Of the asset that is given away; undefined while unknown. */
  readonly available: string | undefined;
}

export interface Estimate {
  readonly quantity: string;
  /** On average, for a market order. */
  readonly price: string;
  readonly fee: string;
  readonly feeBasisPoints: number;
  /** What a buy costs, fees included, and what a sale brings, fees taken off. */
  readonly total: string;
}

export interface Problems {
  readonly amount?: string;
  readonly price?: string;
}

export interface Assessment {
  /** Null where there is nothing to count with yet. */
  readonly estimate: Estimate | null;
  readonly problems: Problems;
  /** Of what is available: to be said while it is typed, when no more typing can mend it. */
  readonly shortage: string | null;
}

const PLAIN = `, with ${pointName()} before the decimals and no marks for thousands`;
const QUOTE_STEP = "0.01"; // what a quote amount is shown and offered in

export function spentAsset(draft: Pick<Draft, "side">, market: Market): string {
  return draft.side === "buy" ? market.quote_asset : market.base_asset;
}

export function assess(draft: Draft, around: Surroundings): Assessment {
  const { market } = around;
  const amount = parseAmount(draft.amount);
  const price = draft.kind === "limit" ? parseAmount(draft.price) : null;
  const problems: { amount?: string; price?: string } = {};
  if (draft.kind === "limit") {
    const wrong = priceProblem(draft.price, price, market);
    if (wrong !== null) problems.price = wrong;
  }
  if (amount === null || isZero(amount)) {
    problems.amount =
      draft.amount.trim() === ""
        ? "Enter an amount."
        : `Enter an amount above zero, such as ${asTyped("0.25")}${PLAIN}.`;
    return { estimate: null, problems, shortage: null };
  }
  if (problems.price !== undefined) return { estimate: null, problems, shortage: null };
  const estimate = price === null ? estimateMarket(draft, amount, around) : estimateLimit(draft, amount, price, around);
  const shortage = estimate === null ? null : shortageOf(draft, estimate, around);
  const wrong = amountProblem(draft, amount, estimate, around) ?? shortage;
  if (wrong !== null) problems.amount = wrong;
  return { estimate, problems, shortage };
}

/** The largest amount that `percent` of what is available allows, in the draft's unit; null where it cannot be said. */
export function amountForShare(draft: Draft, percent: number, around: Surroundings): string | null {
  const { market, available } = around;
  if (available === undefined) return null;
  const share = percentOf(available, percent);
  if (draft.side === "sell") return roundToStep(share, market.lot, "down");
  if (draft.unit === "quote" && draft.kind === "market") return roundToStep(share, QUOTE_STEP, "down");
  const price = draft.kind === "limit" ? parseAmount(draft.price) : bestPrice(draft.side, around);
  if (price === null || isZero(price)) return null;
  const perUnit = add(price, basisPointsOf(price, market.taker_fee_basis_points));
  return roundToStep(divide(share, perUnit), market.lot, "down");
}

function priceProblem(typed: string, price: string | null, market: Market): string | null {
  if (typed.trim() === "") return "Enter a price.";
  if (price === null || isZero(price)) return `Enter a price above zero, such as ${asTyped("100.5")}${PLAIN}.`;
  return isMultipleOf(price, market.tick) ? null : `The price moves in steps of ${market.tick}.`;
}

function amountProblem(
  draft: Draft,
  amount: string,
  estimate: Estimate | null,
  { market }: Surroundings,
): string | null {
  const inQuote = draft.unit === "quote" && draft.kind === "market" && draft.side === "buy";
  if (!inQuote && !isMultipleOf(amount, market.lot)) return `The amount moves in steps of ${market.lot}.`;
  if (estimate === null) return null;
  const worth = multiply(estimate.quantity, estimate.price);
  if (compare(worth, market.min_notional) < 0) {
    return `The smallest order is worth ${formatMoney(market.min_notional, market.quote_asset)}.`;
  }
  if (market.max_quantity !== null && compare(estimate.quantity, market.max_quantity) > 0) {
    return `The largest order is ${formatMoney(market.max_quantity, market.base_asset)}.`;
  }
  return null;
}

function shortageOf(draft: Draft, estimate: Estimate, { market, available }: Surroundings): string | null {
  const needed = draft.side === "buy" ? estimate.total : estimate.quantity;
  if (available === undefined || compare(needed, available) <= 0) return null;
  return `Not enough: you have ${formatMoney(available, spentAsset(draft, market))} available.`;
}

function estimateLimit(draft: Draft, quantity: string, price: string, around: Surroundings): Estimate {
  const { market } = around;
  const opposite = bestPrice(draft.side, around);
  const crosses =
    opposite !== null && (draft.side === "buy" ? compare(price, opposite) >= 0 : compare(price, opposite) <= 0);
  const feeBasisPoints = crosses ? market.taker_fee_basis_points : market.maker_fee_basis_points;
  return withFee(draft.side, quantity, price, feeBasisPoints);
}

function estimateMarket(draft: Draft, amount: string, around: Surroundings): Estimate | null {
  const { market } = around;
  const feeBasisPoints = market.taker_fee_basis_points;
  if (draft.side === "buy" && draft.unit === "quote") {
    // The fee is inside: what remains for the purchase is amount × 10000 / (10000 + fee).
    const forPurchase = divide(multiply(amount, "10000"), String(10_000 + feeBasisPoints));
    const price = averagePrice("buy", { notional: forPurchase }, around);
    if (price === null) return null;
    const quantity = roundToStep(divide(forPurchase, price), market.lot, "down");
    return { quantity, price, fee: subtract(amount, forPurchase), feeBasisPoints, total: amount };
  }
  const price = averagePrice(draft.side, { quantity: amount }, around);
  return price === null ? null : withFee(draft.side, amount, price, feeBasisPoints);
}

function withFee(side: Side, quantity: string, price: string, feeBasisPoints: number): Estimate {
  const worth = multiply(quantity, price);
  const fee = basisPointsOf(worth, feeBasisPoints);
  const total = side === "buy" ? add(worth, fee) : subtract(worth, fee);
  return { quantity, price, fee, feeBasisPoints, total };
}

function bestPrice(side: Side, { book, livePrice }: Surroundings): string | null {
  const levels = side === "buy" ? book?.asks : book?.bids;
  return levels?.[0]?.[0] ?? livePrice ?? null;
}

type Wanted = { readonly quantity: string } | { readonly notional: string };

/** Walks the offers on the other side. What is beyond those we know is counted at the last one's price. */
function averagePrice(side: Side, wanted: Wanted, around: Surroundings): string | null {
  const { book, livePrice, market } = around;
  const levels = (side === "buy" ? book?.asks : book?.bids) ?? [];
  let [quantity, worth, lastPrice] = ["0", "0", livePrice ?? null];
  for (const [price, offered] of levels) {
    lastPrice = price;
    const missing =
      "quantity" in wanted ? subtract(wanted.quantity, quantity) : divide(subtract(wanted.notional, worth), price);
    const taken = smaller(missing, offered);
    quantity = add(quantity, taken);
    worth = add(worth, multiply(taken, price));
    if (compare(missing, offered) <= 0) break;
  }
  if (lastPrice === null || isZero(quantity)) return lastPrice;
  if ("quantity" in wanted) {
    const rest = subtract(wanted.quantity, quantity);
    worth = add(worth, multiply(rest, lastPrice));
    quantity = wanted.quantity;
  }
  return roundToStep(divide(worth, quantity), market.tick, side === "buy" ? "up" : "down");
}

/** Decimals in which an amount of the unit is worth showing. */
export function unitDecimals(unit: Unit, market: Market): number {
  return unit === "quote" ? decimalsOf(QUOTE_STEP) : decimalsOf(market.lot);
}
