import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Stream, type ChannelMessage } from "@/lib/stream";
import { FakeSocket } from "./fake-socket";

let sockets: FakeSocket[] = [];
let renewals = 0;
let renewed = true;

function newStream(): Stream {
  const openSocket = () => {
    const socket = new FakeSocket();
    sockets.push(socket);
    return socket as unknown as WebSocket;
  };
  const renewSession = () => {
    renewals += 1;
    return Promise.resolve(renewed);
  };
  return new Stream({ openSocket, renewSession, random: () => 1 });
}

function latest(): FakeSocket {
  const socket = sockets.at(-1);
  if (socket === undefined) throw new Error("no socket was opened");
  return socket;
}

function message(channel: string, seq: number, data: unknown, type: "snapshot" | "update" = "update") {
  return { channel, seq, type, time: "2026-01-15T14:30:00.000Z", data };
}

function follow(stream: Stream, channel: string, resumes: boolean): unknown[] {
  const heard: unknown[] = [];
  stream.subscribe(channel, { resumes }, ({ data }: ChannelMessage) => heard.push(data));
  return heard;
}

beforeEach(() => {
  vi.useFakeTimers();
  sockets = [];
  renewals = 0;
  renewed = true;
});

afterEach(() => {
  vi.useRealTimers();
});

test("asks for its channels when the line opens, and hands on what comes in order", () => {
  const stream = newStream();
  const heard = follow(stream, "prices", false);
  stream.start();
  latest().accept();
  expect(latest().asked("prices")).toHaveLength(1);
  latest().say(message("prices", 4, "all", "snapshot"));
  latest().say(message("prices", 5, "five"));
  latest().say(message("prices", 5, "five again"));
  latest().say(message("prices", 6, "six"));
  expect(heard).toEqual(["all", "five", "six"]);
});

test("a gap in a private channel is filled from the last number seen", () => {
  const stream = newStream();
  const heard = follow(stream, "orders", true);
  stream.start();
  latest().accept();
  latest().say(message("orders", 10, "begin", "snapshot"));
  latest().say(message("orders", 12, "too early"));
  expect(latest().asked("orders").at(-1)).toMatchObject({ after: 10 });
  latest().say(message("orders", 11, "eleven"));
  latest().say(message("orders", 12, "twelve"));
  expect(heard).toEqual(["begin", "eleven", "twelve"]);
});

test("a gap in prices asks for a new snapshot", () => {
  const stream = newStream();
  const heard = follow(stream, "prices", false);
  stream.start();
  latest().accept();
  latest().say(message("prices", 1, "one", "snapshot"));
  latest().say(message("prices", 3, "three"));
  expect(latest().asked("prices")).toHaveLength(2);
  latest().say(message("prices", 3, "all of three", "snapshot"));
  expect(heard).toEqual(["one", "all of three"]);
});

test("comes back after a break and resumes where it was", async () => {
  const stream = newStream();
  follow(stream, "orders", true);
  const back = vi.fn();
  stream.onReconnect(back);
  stream.start();
  latest().accept();
  latest().say(message("orders", 7, "seven", "snapshot"));
  expect(back).not.toHaveBeenCalled();
  latest().end(1006);
  expect(stream.status.open).toBe(false);
  await vi.advanceTimersByTimeAsync(300);
  expect(sockets).toHaveLength(2);
  latest().accept();
  expect(latest().asked("orders")).toEqual([{ op: "subscribe", channel: "orders", after: 7 }]);
  expect(back).toHaveBeenCalledOnce();
});

test("waits longer after each failure, but never long enough to miss the two seconds", async () => {
  const stream = newStream();
  stream.start();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    const before = sockets.length;
    latest().end(1006);
    let waited = 0;
    while (sockets.length === before) {
      // oxlint-disable-next-line no-await-in-loop
      await vi.advanceTimersByTimeAsync(50);
      waited += 50;
    }
    waits.push(waited);
  }
  expect(waits).toEqual([250, 500, 1000, 1000, 1000, 1000]);
});

test("renews the session where the server no longer knows it, and then connects again", async () => {
  const stream = newStream();
  stream.start();
  latest().accept();
  latest().end(4401);
  await vi.advanceTimersByTimeAsync(300);
  expect(renewals).toBe(1);
  expect(sockets).toHaveLength(2);
});

test("private channels refused to nobody renew the session at once, together", async () => {
  const stream = newStream();
  follow(stream, "orders", true);
  stream.start();
  latest().accept();
  const refusal = { op: "error", error: { code: "AUTHENTICATION_ERROR", details: { reason: "not_signed_in" } } };
  latest().say(refusal);
  latest().say(refusal);
  await vi.advanceTimersByTimeAsync(0);
  expect(renewals).toBe(1);
  expect(sockets).toHaveLength(2);
});

test("a session that is over leaves the line open for prices", async () => {
  renewed = false;
  const stream = newStream();
  follow(stream, "orders", true);
  stream.start();
  latest().accept();
  latest().say({ op: "error", error: { code: "AUTHENTICATION_ERROR", details: {} } });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(sockets).toHaveLength(1);
});

test("a number that the server does not know begins the private channels anew", () => {
  const stream = newStream();
  follow(stream, "orders", true);
  stream.start();
  latest().accept();
  latest().say(message("orders", 900, "of the past", "snapshot"));
  latest().say({ op: "error", error: { code: "VALIDATION_ERROR", details: { field: "after", rule: "maximum" } } });
  expect(latest().asked("orders").at(-1)).toEqual({ op: "subscribe", channel: "orders" });
});

test("a line that has gone silent is given up", async () => {
  const stream = newStream();
  stream.start();
  latest().accept();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(latest().sent.filter(({ op }) => op === "ping")).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(sockets).toHaveLength(2);
});

test("what a replaced socket still says is not heard", () => {
  const stream = newStream();
  const heard = follow(stream, "prices", false);
  stream.start();
  const old = latest();
  old.accept();
  stream.reconnect();
  old.say(message("prices", 1, "late", "snapshot"));
  expect(heard).toEqual([]);
});
