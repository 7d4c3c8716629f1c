import { queryOptions } from "@tanstack/react-query";
import { api, unwrap } from "@/lib/api-client";
import type { Book } from "@/lib/api-types";

const DEPTH = 50; // enough for the ticket's estimate of a large order
const REFRESH_MS = 1_000;

/** The order book, asked for each second while the page is looked at. */
export function bookQuery(symbol: string) {
  return queryOptions({
    queryKey: ["book", symbol],
    queryFn: async (): Promise<Book> => {
      const params = { path: { symbol }, query: { depth: String(DEPTH) } };
      // The client forgets that a level is a pair; the contract says it.
      return (await unwrap(api.GET("/api/v1/markets/{symbol}/book", { params }))) as Book;
    },
    refetchInterval: REFRESH_MS,
    staleTime: REFRESH_MS,
  });
}
