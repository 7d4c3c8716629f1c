import { useEffect, useRef, useState } from "react";
import { Card } from "@/components/ui/Card";
import { Choice } from "@/components/ui/Choice";
import { Skeleton } from "@/components/ui/Skeleton";
import { onThemeChange } from "@/features/trading/chart/colours";
import type { PriceChart } from "@/features/trading/chart/price-chart";
import type { Market } from "@/lib/api-types";
import { decimalsOf } from "@/lib/decimal";
import { priceHistory } from "@/lib/price-history";

// A canvas drawn four times a second looks live and leaves the page its time.
const DRAW_MS = 250;
const AFTER_FIRST_PAINT_MS = 100;

const KINDS = [
  { value: "0", label: "Line" },
  { value: "5", label: "5 s" },
  { value: "15", label: "15 s" },
  { value: "60", label: "1 m" },
] as const;

type Kind = (typeof KINDS)[number]["value"];

/** Where prices have gone since the page was opened. */
export function ChartPanel({ market }: { readonly market: Market }) {
  const [kind, setKind] = useState<Kind>("0");
  return (
    <Card
      flush
      title="Price"
      actions={<Choice small label="Draw as" value={kind} options={KINDS} onChange={setKind} />}
    >
      <Canvas symbol={market.base_asset} seconds={Number(kind)} decimals={decimalsOf(market.tick)} />
      <p className="flex flex-wrap justify-between gap-x-4 border-t border-line px-4 py-2 text-xs text-muted">
        <span>Live prices since you opened this page</span>
        <a href="https://www.tradingview.com/" target="_blank" rel="noreferrer" className="underline hover:text-text">
          Lightweight Charts™ by TradingView
        </a>
      </p>
    </Card>
  );
}

interface CanvasProps {
  readonly symbol: string;
  readonly seconds: number;
  readonly decimals: number;
}

function Canvas({ symbol, seconds, decimals }: CanvasProps) {
  const container = useRef<HTMLDivElement>(null);
  const [chart, setChart] = useState<PriceChart | null>(null);
  const [failed, setFailed] = useState(false);

  useEffect(() => {
    let made: PriceChart | null = null;
    let gone = false;
    // Loaded on its own, after price and ticket are on the screen: they work before the chart is there, and without it.
    const load = () =>
      import("@/features/trading/chart/price-chart").then(
        (module) => {
          if (gone || container.current === null) return;
          made = new module.PriceChart(container.current);
          setChart(made);
        },
        () => setFailed(true),
      );
    const timer = setTimeout(() => void load(), AFTER_FIRST_PAINT_MS);
    return () => {
      clearTimeout(timer);
      gone = true;
      made?.remove();
    };
  }, []);

  useEffect(() => {
    if (chart === null) return undefined;
    chart.draw({ seconds, decimals });
    const show = () => chart.show(priceHistory.of(symbol));
    show();
    const timer = setInterval(show, DRAW_MS);
    const leave = onThemeChange(() => chart.recolour());
    return () => {
      clearInterval(timer);
      leave();
    };
  }, [chart, symbol, seconds, decimals]);

  return (
    <div className="relative h-64 grow sm:h-96" role="img" aria-label={`Chart of the live price of ${symbol}`}>
      <div ref={container} className="absolute inset-0" />
      {chart === null && !failed && <Skeleton className="absolute inset-4" />}
      {failed && <p className="p-8 text-center text-sm text-muted">The chart could not be loaded.</p>}
    </div>
  );
}
