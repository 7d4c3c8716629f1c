/** The prices seen since this page was opened: what its lines and candles are drawn from. */
import type { Price } from "@/lib/api-types";

const POINTS_MAX = 1_800; // half an hour at one a second

export interface PricePoint {
  /** Seconds since 1970, whole. */
  readonly time: number;
  readonly price: string;
}

type Listener = (symbol: string) => void;

export class PriceHistory {
  readonly #points = new Map<string, PricePoint[]>();
  readonly #listeners = new Set<Listener>();

  /** At most one point a second is kept; the newest of a second wins. Prices older than the last point are ignored. */
  record(prices: readonly Price[]): void {
    for (const { symbol, price, time } of prices) {
      const points = this.#points.get(symbol) ?? [];
      const point = { time: Math.floor(Date.parse(time) / 1000), price };
      const last = points.at(-1);
      if (last !== undefined && point.time < last.time) continue;
      const kept = last?.time === point.time ? points.slice(0, -1) : points;
      this.#points.set(symbol, [...kept.slice(-(POINTS_MAX - 1)), point]);
      for (const listener of this.#listeners) listener(symbol);
    }
  }

  /** A new array for every change. */
  of(symbol: string): readonly PricePoint[] {
    return this.#points.get(symbol) ?? NONE;
  }

  readonly subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

const NONE: readonly PricePoint[] = [];

export const priceHistory = new PriceHistory();
