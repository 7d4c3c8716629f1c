import { useReducer } from "react";
import type { Draft } from "@/features/trading/ticket/ticket-math";

export type DraftChange = Partial<Draft>;

const EMPTY: Draft = { side: "buy", kind: "market", unit: "quote", amount: "", price: "" };

/** What stays true of a draft whatever is changed in it. */
export function changed(draft: Draft, change: DraftChange): Draft {
  const next = { ...draft, ...change };
  // Only a market buy is counted in the quote asset, and an amount means nothing in another unit.
  const mayBeQuote = next.kind === "market" && next.side === "buy";
  const unit = mayBeQuote ? next.unit : "base";
  const amount = unit === draft.unit || change.amount !== undefined ? next.amount : "";
  return { ...next, unit, amount };
}

export function useDraft(): readonly [Draft, (change: DraftChange) => void] {
  return useReducer(changed, EMPTY);
}
