/** The page's one stream, joined to the session. */
import { refreshSession } from "@/lib/refresh-session";
import { csrfToken } from "@/lib/session";
import { Stream } from "@/lib/stream";

function openSocket(): WebSocket {
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  return new WebSocket(`${scheme}://${window.location.host}/ws`);
}

export const stream = new Stream({
  openSocket,
  renewSession: () => {
    const token = csrfToken();
    return token === null ? Promise.resolve(false) : refreshSession(token);
  },
  random: Math.random,
});
