import { expect, test } from "vitest";
import { candlesOf } from "@/features/trading/chart/candles";

test("gathers points into spans that begin on the clock", () => {
  const points = [
    { time: 58, price: "10" },
    { time: 60, price: "11" },
    { time: 61, price: "9.5" },
    { time: 74, price: "12" },
    { time: 95, price: "100" },
  ];
  expect(candlesOf(points, 15)).toEqual([
    { time: 45, open: "10", high: "10", low: "10", close: "10" },
    { time: 60, open: "11", high: "12", low: "9.5", close: "12" },
    { time: 90, open: "100", high: "100", low: "100", close: "100" },
  ]);
});

test("nothing seen is nothing drawn", () => {
  expect(candlesOf([], 60)).toEqual([]);
});
