import { QueryClient } from "@tanstack/react-query";
import { beforeEach, expect, test, vi } from "vitest";
import { followPrices, followPrivate } from "@/lib/live-cache";
import { PriceHistory } from "@/lib/price-history";
import { keys } from "@/lib/queries";
import { Stream } from "@/lib/stream";
import { anOrder } from "../trading/market";
import { FakeSocket } from "./fake-socket";

let client: QueryClient;
let socket: FakeSocket;
let stream: Stream;

beforeEach(() => {
  client = new QueryClient();
  socket = new FakeSocket();
  stream = new Stream({
    openSocket: () => socket as unknown as WebSocket,
    renewSession: () => Promise.resolve(false),
    random: () => 1,
  });
  stream.start();
  socket.accept();
});

const TIME = "2026-01-15T14:30:00.000Z";

function say(channel: string, seq: number, type: "snapshot" | "update", data: unknown): void {
  socket.say({ channel, seq, type, time: TIME, data });
}

function price(symbol: string, value: string) {
  return { symbol, price: value, time: TIME };
}

test("prices are replaced by a snapshot and changed by updates", async () => {
  const history = new PriceHistory();
  followPrices(stream, client, history);
  say("prices", 1, "snapshot", [price("BTC", "100"), price("ETH", "10")]);
  say("prices", 2, "update", [price("BTC", "101")]);
  await vi.waitFor(() => {
    expect(client.getQueryData(keys.prices)).toMatchObject({ BTC: { price: "101" }, ETH: { price: "10" } });
  });
  // One point a second: the newest of it.
  expect(history.of("BTC")).toEqual([{ time: Date.parse(TIME) / 1000, price: "101" }]);
});

test("a change before anything is known waits for the whole", async () => {
  followPrivate(stream, client);
  say("orders", 5, "snapshot", [anOrder()]);
  say("balances", 5, "snapshot", [{ asset: "USD", available: "10", held: "0" }]);
  say("orders", 6, "update", anOrder({ status: "filled", updated_at: "2026-01-15T14:31:00.000Z" }));
  say("balances", 6, "update", [{ asset: "BTC", available: "1", held: "0" }]);
  await vi.waitFor(() => {
    expect(client.getQueryData(keys.openOrders)).toEqual([]);
    expect(client.getQueryData(keys.balances)).toHaveLength(2);
  });
});

test("an event that does not concern the channel keeps its number and changes nothing", async () => {
  followPrivate(stream, client);
  say("orders", 5, "snapshot", [anOrder()]);
  say("orders", 6, "update", null);
  say("orders", 7, "update", anOrder({ id: "second" }));
  await vi.waitFor(() => {
    expect(client.getQueryData(keys.openOrders)).toHaveLength(2);
  });
});

test("an answer asked for before the news came does not undo it", async () => {
  followPrivate(stream, client);
  const balance = (available: string) => [{ asset: "USD", available, held: "0" }];
  let answer: (balances: ReturnType<typeof balance>) => void = () => undefined;
  const asked = client.fetchQuery({
    queryKey: keys.balances,
    queryFn: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  });
  asked.catch(() => undefined);
  say("balances", 1, "snapshot", balance("900"));
  await vi.waitFor(() => {
    expect(client.getQueryData(keys.balances)).toEqual(balance("900"));
  });
  answer(balance("1000"));
  await new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
  expect(client.getQueryData(keys.balances)).toEqual(balance("900"));
});
