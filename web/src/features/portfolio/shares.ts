/** A portfolio as shares of a whole. */
import type { Holding } from "@/lib/api-types";
import { compare, isZero, sum } from "@/lib/decimal";

// More than a handful of slices cannot be told apart.
const SLICES_MAX = 6;

export const SHARE_COLOURS = Array.from({ length: SLICES_MAX }, (_, index) => `var(--share-${index + 1})`);

export interface Share {
  readonly name: string;
  /** Of 100. */
  readonly percent: string;
  readonly colour: string;
}

/** The largest first; the smallest are gathered into one. Holdings without a price have no share. */
export function sharesOf(holdings: readonly Holding[]): readonly Share[] {
  const known = holdings
    .flatMap(({ symbol, allocation }) => (allocation === null || isZero(allocation) ? [] : [{ symbol, allocation }]))
    .toSorted((left, right) => compare(right.allocation, left.allocation));
  const single = known.length > SLICES_MAX ? known.slice(0, SLICES_MAX - 1) : known;
  const rest = known.slice(single.length);
  const slices = single.map(({ symbol, allocation }) => ({ name: symbol, percent: allocation }));
  if (rest.length > 0) {
    slices.push({ name: `${rest.length} others`, percent: sum(rest.map(({ allocation }) => allocation)) });
  }
  return slices.map(({ name, percent }, index) => ({ name, percent, colour: SHARE_COLOURS[index] ?? "var(--muted)" }));
}
