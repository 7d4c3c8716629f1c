/** Server state that several features share: how it is asked for, and under which key the stream writes it. */
import { queryOptions, useQuery, type UseQueryResult } from "@tanstack/react-query";
import { api, unwrap } from "@/lib/api-client";
import { ApiError } from "@/lib/api-error";
import type { Balance, Market, Order, Portfolio, Price, User } from "@/lib/api-types";
import { csrfToken } from "@/lib/session";

export type Prices = Readonly<Record<string, Price>>;

export const keys = {
  me: ["me"],
  prices: ["prices"],
  markets: ["markets"],
  balances: ["private", "balances"],
  openOrders: ["private", "orders", "open"],
  orderHistory: ["private", "orders", "history"],
  fills: ["private", "fills"],
  portfolio: ["private", "portfolio"],
} as const;

/** All that belongs to one user; dropped when somebody else signs in. */
export const PRIVATE = ["private"] as const;

export const meQuery = queryOptions({
  queryKey: keys.me,
  queryFn: async (): Promise<User | null> => {
    if (csrfToken() === null) return null;
    try {
      return await unwrap(api.GET("/api/v1/auth/me"));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    }
  },
  staleTime: Number.POSITIVE_INFINITY,
});

export function useMe(): UseQueryResult<User | null> {
  return useQuery(meQuery);
}

export const pricesQuery = queryOptions({
  queryKey: keys.prices,
  queryFn: async (): Promise<Prices> => bySymbol((await unwrap(api.GET("/api/v1/prices"))).items),
  // From here on the stream keeps them.
  staleTime: Number.POSITIVE_INFINITY,
});

export function bySymbol(prices: readonly Price[]): Prices {
  return Object.fromEntries(prices.map((price) => [price.symbol, price]));
}

/** The live price of one asset; only its own changes draw again. */
export function usePrice(symbol: string): Price | undefined {
  return useQuery({ ...pricesQuery, select: (prices) => prices[symbol] }).data;
}

/** Whether the prices are there, and none of that asset: there will be nothing to trade at until one comes. */
export function useIsUnpriced(symbol: string): boolean {
  return useQuery({ ...pricesQuery, select: (prices) => prices[symbol] === undefined }).data === true;
}

export const marketsQuery = queryOptions({
  queryKey: keys.markets,
  queryFn: async (): Promise<readonly Market[]> => (await unwrap(api.GET("/api/v1/markets"))).items,
  staleTime: 60_000,
});

export const balancesQuery = queryOptions({
  queryKey: keys.balances,
  queryFn: async (): Promise<readonly Balance[]> => (await unwrap(api.GET("/api/v1/wallet/balances"))).items,
  staleTime: Number.POSITIVE_INFINITY,
});

export const openOrdersQuery = queryOptions({
  queryKey: keys.openOrders,
  queryFn: async (): Promise<readonly Order[]> =>
    (await unwrap(api.GET("/api/v1/orders", { params: { query: { status: "open", limit: "200" } } }))).items,
  staleTime: Number.POSITIVE_INFINITY,
});

export const portfolioQuery = queryOptions({
  queryKey: keys.portfolio,
  queryFn: (): Promise<Portfolio> => unwrap(api.GET("/api/v1/portfolio")),
  refetchInterval: 5_000,
});
