/**
 * The browser's half of a session. Its tokens are HttpOnly cookies that no script sees; what a script sees is the
 * CSRF cookie, which lives as long as the session and changes at every refresh.
 */

const CSRF_COOKIE = "__Host-cv_csrf";
const REFRESH_LOCK = "cryptovault-session-refresh";
const CHANNEL = "cryptovault-session";

export type SessionNews = "signed-in" | "signed-out";

/** Null where nobody is signed in. */
export function csrfToken(): string | null {
  for (const part of document.cookie.split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === CSRF_COOKIE && value) return value;
  }
  return null;
}

let refreshing: Promise<boolean> | null = null;

/**
 * Gets new tokens, once for all tabs and callers: a refresh token is good for one use, and using it twice ends the
 * session. `usedToken` is the CSRF token of the request that was refused; where the cookie has changed since, another
 * tab has already done it. False where the session is over; throws where the server could not be reached.
 */
export function refreshSession(usedToken: string | null): Promise<boolean> {
  refreshing ??= underLock(() => refreshUnlessDone(usedToken)).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function refreshUnlessDone(usedToken: string | null): Promise<boolean> {
  const token = csrfToken();
  if (token === null) return false;
  if (token !== usedToken) return true;
  const response = await fetch("/api/v1/auth/refresh", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
    body: "{}",
  });
  if (response.ok) return true;
  if (response.status === 401 || response.status === 403) {
    tellTabs("signed-out");
    return false;
  }
  throw new Error(`The session could not be refreshed: ${response.status}`);
}

function underLock(work: () => Promise<boolean>): Promise<boolean> {
  // Absent on plain-HTTP origins other than this machine; there cookies do not work either.
  return "locks" in navigator ? navigator.locks.request(REFRESH_LOCK, work) : work();
}

const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(CHANNEL) : null;
const listeners = new Set<(news: SessionNews) => void>();

channel?.addEventListener("message", (event: MessageEvent<SessionNews>) => {
  for (const listener of listeners) listener(event.data);
});

/** Says it to this tab and all others. */
export function tellTabs(news: SessionNews): void {
  channel?.postMessage(news);
  for (const listener of listeners) listener(news);
}

export function onSessionNews(listener: (news: SessionNews) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
