import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { expect, test } from "vitest";
import { MarketHeader } from "@/features/trading/MarketHeader";
import type { Price } from "@/lib/api-types";
import { bySymbol, marketsQuery, pricesQuery } from "@/lib/queries";
import { MARKET } from "./market";

const BITCOIN: Price = {
  symbol: "BTC",
  price: "60000",
  change_24h: null,
  high_24h: null,
  low_24h: null,
  volume_24h: null,
  source: "simulator",
  source_time: "2026-01-15T14:30:00.000Z",
  time: "2026-01-15T14:30:00.000Z",
};
const WARNING = "This market has no price yet";

function shown(prices: readonly Price[] | null): string {
  const client = new QueryClient({ defaultOptions: { queries: { enabled: false } } });
  client.setQueryData(marketsQuery.queryKey, [MARKET]);
  if (prices !== null) client.setQueryData(pricesQuery.queryKey, bySymbol(prices));
  const { container, unmount } = render(
    <QueryClientProvider client={client}>
      <MemoryRouter>
        <MarketHeader market={MARKET} />
      </MemoryRouter>
    </QueryClientProvider>,
  );
  const text = container.textContent;
  unmount();
  return text;
}

test("a market without a price says so, and only when the prices are known", () => {
  expect(shown([{ ...BITCOIN, symbol: "ETH" }])).toContain(WARNING);
  expect(shown(null)).not.toContain(WARNING);
  expect(shown([BITCOIN])).not.toContain(WARNING);
  expect(shown([BITCOIN])).toContain("$60,000.00");
});
