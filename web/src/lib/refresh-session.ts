import { csrfToken, tellTabs } from "@/lib/session";

const REFRESH_LOCK = "cryptovault-session-refresh";

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
    // The token was read before the browser added its cookies: a sign-in in another tab may have changed them in between.
    const now = csrfToken();
    if (now !== null && now !== token) return true;
    tellTabs("signed-out");
    return false;
  }
  throw new Error(`The session could not be refreshed: ${response.status}`);
}

function underLock(work: () => Promise<boolean>): Promise<boolean> {
  // Absent on plain-HTTP origins other than this machine; there cookies do not work either.
  return "locks" in navigator ? navigator.locks.request(REFRESH_LOCK, work) : work();
}
