import { expect, test } from "vitest";
import { connectionOf } from "@/lib/connection";

const NOW = 1_000_000;

test("is live while messages come", () => {
  expect(connectionOf({ open: true, lastMessageAt: NOW - 900, downSince: null }, NOW, true)).toEqual({ kind: "live" });
});

test("says how late it is where messages stop", () => {
  const status = { open: true, lastMessageAt: NOW - 7_200, downSince: null };
  expect(connectionOf(status, NOW, true)).toEqual({ kind: "delayed", seconds: 7 });
});

test("a break is a delay at first, and offline after a while", () => {
  const status = (downFor: number) => ({ open: false, lastMessageAt: NOW - downFor, downSince: NOW - downFor });
  expect(connectionOf(status(2_000), NOW, true)).toEqual({ kind: "delayed", seconds: 2 });
  expect(connectionOf(status(5_001), NOW, true)).toEqual({ kind: "offline" });
});

test("is offline at once where the browser says so", () => {
  expect(connectionOf({ open: true, lastMessageAt: NOW, downSince: null }, NOW, false)).toEqual({ kind: "offline" });
});
