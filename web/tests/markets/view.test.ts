import { expect, test } from "vitest";
import { chosenMarkets, readView } from "@/features/markets/view";
import type { Market, Price } from "@/lib/api-types";
import { MARKET } from "../trading/market";

const MARKETS: readonly Market[] = [
  { ...MARKET, symbol: "BTC-USD", base_asset: "BTC", name: "Bitcoin" },
  { ...MARKET, symbol: "ETH-USD", base_asset: "ETH", name: "Ethereum" },
  { ...MARKET, symbol: "NEW-USD", base_asset: "NEW", name: "Newcomer" },
];

function priced(symbol: string, price: string): Price {
  const time = "2026-01-15T14:30:00.000Z";
  const none = { change_24h: null, high_24h: null, low_24h: null, volume_24h: null };
  return { symbol, price, ...none, source: "test", source_time: time, time };
}

const PRICES = { BTC: priced("BTC", "100"), ETH: priced("ETH", "9") };

function symbols(query: string, favourites: readonly string[] = []): string[] {
  const view = readView(new URLSearchParams(query));
  return chosenMarkets(MARKETS, PRICES, favourites, view).map(({ base_asset: asset }) => asset);
}

test("sorts by value, and puts what has no figure last in either direction", () => {
  expect(symbols("sort=-price")).toEqual(["BTC", "ETH", "NEW"]);
  expect(symbols("sort=price")).toEqual(["ETH", "BTC", "NEW"]);
});

test("searches symbols and names", () => {
  expect(symbols("search=ether&sort=name")).toEqual(["ETH"]);
  expect(symbols("search=btc&sort=name")).toEqual(["BTC"]);
});

test("shows favourites alone where asked", () => {
  expect(symbols("favourites=1&sort=name", ["ETH-USD"])).toEqual(["ETH"]);
});

test("an address that nobody of us wrote shows the ordinary view", () => {
  expect(readView(new URLSearchParams("sort=nonsense&favourites=maybe"))).toEqual({
    search: "",
    sort: "volume",
    descending: true,
    favouritesOnly: false,
  });
});
