/** The canvas behind the chart: lightweight-charts, fed from the prices seen since the page was opened. */
import {
  CandlestickSeries,
  createChart,
  LineSeries,
  type IChartApi,
  type ISeriesApi,
  type UTCTimestamp,
} from "lightweight-charts";
import { candlesOf } from "@/features/trading/chart/candles";
import { readColours } from "@/features/trading/chart/colours";
import { toPixels } from "@/lib/decimal";
import { formatNumber, formatTime } from "@/lib/format";
import type { PricePoint } from "@/lib/price-history";

// Pixels from one point to the next: a few minutes of line, or of candles, fill the panel.
const LINE_SPACING = 5;
const CANDLE_SPACING = 10;

/** `seconds` of a candle; 0 draws a line. */
export interface Drawing {
  readonly seconds: number;
  readonly decimals: number;
}

export class PriceChart {
  readonly #chart: IChartApi;
  #series: ISeriesApi<"Line"> | ISeriesApi<"Candlestick"> | null = null;
  #drawing: Drawing = { seconds: 0, decimals: 2 };
  #points: readonly PricePoint[] = [];

  constructor(container: HTMLElement) {
    this.#chart = createChart(container, {
      autoSize: true,
      // Its logo would bring a style element of its own, which our content security policy refuses: the page names
      // TradingView in a line of text instead.
      layout: { attributionLogo: false, fontFamily: getComputedStyle(container).fontFamily },
      rightPriceScale: { borderVisible: false },
      timeScale: { borderVisible: false, timeVisible: true, secondsVisible: true, rightOffset: 4 },
      localization: {
        timeFormatter: (time: number) => formatTime(time * 1000),
        priceFormatter: (price: number) => this.#label(price),
      },
      // One finger scrolls the page, not the chart.
      handleScroll: { vertTouchDrag: false },
    });
    this.recolour();
  }

  draw(drawing: Drawing): void {
    if (this.#series !== null) this.#chart.removeSeries(this.#series);
    this.#drawing = drawing;
    const format = { type: "price", precision: drawing.decimals, minMove: 10 ** -drawing.decimals } as const;
    this.#series =
      drawing.seconds === 0
        ? this.#chart.addSeries(LineSeries, { lineWidth: 2, priceFormat: format })
        : this.#chart.addSeries(CandlestickSeries, { borderVisible: false, priceFormat: format });
    this.recolour();
    this.#setAll();
    this.#chart.timeScale().applyOptions({ barSpacing: drawing.seconds === 0 ? LINE_SPACING : CANDLE_SPACING });
  }

  show(points: readonly PricePoint[]): void {
    if (points === this.#points) return;
    this.#points = points;
    this.#setAll();
  }

  recolour(): void {
    const colours = readColours();
    this.#chart.applyOptions({
      layout: { background: { color: colours["--surface"] }, textColor: colours["--muted"] },
      grid: { vertLines: { color: colours["--line"] }, horzLines: { color: colours["--line"] } },
    });
    const up = colours["--up"];
    const down = colours["--down"];
    if (this.#drawing.seconds === 0) this.#series?.applyOptions({ color: colours["--accent"] });
    else this.#series?.applyOptions({ upColor: up, wickUpColor: up, downColor: down, wickDownColor: down });
  }

  remove(): void {
    this.#chart.remove();
  }

  #label(price: number): string {
    const { decimals } = this.#drawing;
    return formatNumber(price.toFixed(decimals), { minDecimals: decimals, maxDecimals: decimals });
  }

  #setAll(): void {
    const { seconds } = this.#drawing;
    if (seconds === 0) {
      (this.#series as ISeriesApi<"Line"> | null)?.setData(
        this.#points.map(({ time, price }) => ({ time: time as UTCTimestamp, value: toPixels(price) })),
      );
      return;
    }
    (this.#series as ISeriesApi<"Candlestick"> | null)?.setData(
      candlesOf(this.#points, seconds).map((candle) => ({
        time: candle.time as UTCTimestamp,
        open: toPixels(candle.open),
        high: toPixels(candle.high),
        low: toPixels(candle.low),
        close: toPixels(candle.close),
      })),
    );
  }
}
