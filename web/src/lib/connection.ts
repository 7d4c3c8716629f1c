/** What the connection chip says, from the stream's state and the clock. */
import type { StreamStatus } from "@/lib/stream";

const FRESH_MS = 3_000;
// A restarting gateway is back within two seconds; only after that do we call it offline.
const OFFLINE_AFTER_MS = 5_000;

export type Connection =
  { readonly kind: "live" } | { readonly kind: "delayed"; readonly seconds: number } | { readonly kind: "offline" };

export function connectionOf(status: StreamStatus, now: number, online: boolean): Connection {
  if (!online) return { kind: "offline" };
  if (status.downSince !== null && now - status.downSince > OFFLINE_AFTER_MS) return { kind: "offline" };
  const heardAt = status.lastMessageAt ?? status.downSince ?? now;
  if (status.open && status.lastMessageAt !== null && now - heardAt <= FRESH_MS) return { kind: "live" };
  return { kind: "delayed", seconds: Math.max(0, Math.round((now - heardAt) / 1000)) };
}
