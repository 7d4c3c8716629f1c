import { compare } from "@/lib/decimal";
import type { PricePoint } from "@/lib/price-history";

export interface Candle {
  /** Seconds since 1970 at which it opens. */
  readonly time: number;
  readonly open: string;
  readonly high: string;
  readonly low: string;
  readonly close: string;
}

/** The points, oldest first, gathered into spans of so many seconds. Spans without a point have no candle. */
export function candlesOf(points: readonly PricePoint[], seconds: number): readonly Candle[] {
  const candles: Candle[] = [];
  for (const { time, price } of points) {
    const opensAt = time - (time % seconds);
    const last = candles.at(-1);
    if (last === undefined || last.time !== opensAt) {
      candles.push({ time: opensAt, open: price, high: price, low: price, close: price });
      continue;
    }
    candles[candles.length - 1] = {
      ...last,
      high: compare(price, last.high) > 0 ? price : last.high,
      low: compare(price, last.low) < 0 ? price : last.low,
      close: price,
    };
  }
  return candles;
}
