import { useCallback, useEffect, useState } from "react";
import { priceHistory, type PricePoint } from "@/lib/price-history";

const REDRAW_MS = 1_000;

/** An asset's prices since the page was opened, renewed once a second: enough for a line as small as a word. */
export function usePricePoints(symbol: string): readonly PricePoint[] {
  const read = useCallback(() => priceHistory.of(symbol), [symbol]);
  const [points, setPoints] = useState(read);
  useEffect(() => {
    const timer = setInterval(() => setPoints(read), REDRAW_MS);
    return () => clearInterval(timer);
  }, [read]);
  return points;
}
