import { memo } from "react";
import { compare, toPixels } from "@/lib/decimal";
import type { PricePoint } from "@/lib/price-history";

const WIDTH = 96;
const HEIGHT = 28;
const POINTS_MAX = 60;

/** The last minute of prices as a line. Decoration: the figures stand beside it. */
export const Sparkline = memo(function Sparkline({ points }: { readonly points: readonly PricePoint[] }) {
  const shown = points.slice(-POINTS_MAX);
  const first = shown[0];
  const last = shown.at(-1);
  if (first === undefined || last === undefined || shown.length < 2) {
    return <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className="h-7 w-24" aria-hidden="true" />;
  }
  const values = shown.map(({ price }) => toPixels(price));
  const low = Math.min(...values);
  const spread = Math.max(...values) - low || 1;
  const line = values
    .map((value, index) => {
      const x = (index / (values.length - 1)) * WIDTH;
      const y = HEIGHT - 2 - ((value - low) / spread) * (HEIGHT - 4);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className="h-7 w-24" aria-hidden="true">
      <polyline
        points={line}
        fill="none"
        strokeWidth="1.5"
        className={compare(last.price, first.price) < 0 ? "stroke-down" : "stroke-up"}
      />
    </svg>
  );
});
