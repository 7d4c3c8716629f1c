/** The stream's messages, written into the query cache: views never listen to the socket themselves. */
import type { QueryClient, QueryKey } from "@tanstack/react-query";
import type { Balance, Order, Price } from "@/lib/api-types";
import { withBalances, withOrder } from "@/lib/order-state";
import type { PriceHistory } from "@/lib/price-history";
import { bySymbol, keys, type Prices } from "@/lib/queries";
import type { ChannelMessage, Stream } from "@/lib/stream";

export function followPrices(stream: Stream, client: QueryClient, history: PriceHistory): () => void {
  return stream.subscribe("prices", { resumes: false }, ({ type, data }) => {
    const prices = data as readonly Price[];
    history.record(prices);
    write<Prices>(client, keys.prices, (known) =>
      type === "snapshot" ? bySymbol(prices) : { ...known, ...bySymbol(prices) },
    );
  });
}

/** Orders, fills and balances of whoever is signed in. */
export function followPrivate(stream: Stream, client: QueryClient): () => void {
  const stops = [
    stream.subscribe("balances", { resumes: true }, (message) => takeBalances(client, message)),
    stream.subscribe("orders", { resumes: true }, (message) => takeOrder(client, message)),
    stream.subscribe("fills", { resumes: true }, ({ type, data }) => {
      if (type === "update" && data !== null) invalidate(client, keys.fills);
    }),
    stream.onReconnect(() => {
      invalidate(client, keys.balances, keys.openOrders, keys.orderHistory, keys.fills, keys.portfolio);
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function takeBalances(client: QueryClient, { type, data }: ChannelMessage): void {
  if (data === null) return;
  const news = data as readonly Balance[];
  if (type === "snapshot") write<readonly Balance[]>(client, keys.balances, () => news);
  else write<readonly Balance[]>(client, keys.balances, (known) => known && withBalances(known, news));
  invalidate(client, keys.portfolio);
}

function takeOrder(client: QueryClient, { type, data }: ChannelMessage): void {
  if (data === null) return;
  if (type === "snapshot") {
    write<readonly Order[]>(client, keys.openOrders, () => data as readonly Order[]);
    return;
  }
  write<readonly Order[]>(client, keys.openOrders, (known) => known && withOrder(known, data as Order));
  invalidate(client, keys.orderHistory);
}

let lastWrite: Promise<void> = Promise.resolve();

/** In the order of the messages: dropping a fetch takes a moment, and the next message must find this one's change. */
function write<Data>(
  client: QueryClient,
  queryKey: QueryKey,
  change: (known: Data | undefined) => Data | undefined,
): void {
  lastWrite = lastWrite.then(async () => {
    const changed = change(client.getQueryData<Data>(queryKey));
    // Nothing is known yet that could be changed: the snapshot or the fetch under way will hold it.
    if (changed === undefined) return;
    // A fetch that is still under way would bring something older.
    await client.cancelQueries({ queryKey });
    client.setQueryData<Data>(queryKey, changed);
  });
}

function invalidate(client: QueryClient, ...queryKeys: QueryKey[]): void {
  for (const queryKey of queryKeys) void client.invalidateQueries({ queryKey });
}
