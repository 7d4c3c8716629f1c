import createClient from "openapi-fetch";
import type { paths } from "@/api/schema";
import { ApiError, NetworkError } from "@/lib/api-error";
import type { ErrorFacts } from "@/lib/api-types";
import { csrfToken, tellTabs } from "@/lib/session";

const SAFE_METHODS = new Set(["GET", "HEAD"]);
// A 401 from these says something about what was sent, not about the session.
const WITHOUT_SESSION =
  /^\/api\/v1\/auth\/(login|login\/mfa|freeze|password\/forgot|password\/reset|signup|verify-email|resend-code|refresh|logout)$/;

/** Typed from the API's own description; use it with `unwrap`. */
export const api = createClient<paths>({ baseUrl: window.location.origin, fetch: fetchInSession });

interface Answer<Data> {
  readonly data?: Data;
  readonly error?: unknown;
  readonly response: Response;
}

/** The body of a successful answer. Throws ApiError, or NetworkError where there was no answer. */
export async function unwrap<Data>(answer: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await answer;
  if (!response.ok) throw new ApiError(response.status, factsOf(error), response.headers);
  return data as Data;
}

/** An expired access token is renewed and the request sent again: it was refused before it could take effect. */
export async function fetchInSession(request: Request): Promise<Response> {
  const token = csrfToken();
  const response = await send(request.clone(), token);
  const speaksOfSession = !WITHOUT_SESSION.test(new URL(request.url).pathname);
  if (response.status === 403 && token !== null && (await isWrongToken(response))) {
    // Another tab renewed the session after the token was read and before the browser added its cookies: header and
    // cookie came from two sets. The refusal says nothing about the request.
    if (csrfToken() !== token) return send(request, csrfToken());
    // The set itself does not belong together, as after a change of the server's keys: only a new sign-in mends that.
    // Who wanted to sign out has not: that must not look as if.
    if (speaksOfSession) tellTabs("signed-out");
    return response;
  }
  if (response.status !== 401 || token === null || !speaksOfSession) return response;
  try {
    // Comes with the stream: most pages are opened by strangers, or with access that has not ended.
    const { refreshSession } = await import("@/lib/refresh-session");
    if (!(await refreshSession(token))) return response;
  } catch (cause) {
    throw new NetworkError(cause);
  }
  return send(request, csrfToken());
}

async function isWrongToken(response: Response): Promise<boolean> {
  try {
    const body = (await response.clone().json()) as { error?: Partial<ErrorFacts> };
    return body.error?.details?.["reason"] === "csrf_token_mismatch";
  } catch {
    return false;
  }
}

async function send(request: Request, token: string | null): Promise<Response> {
  if (token !== null && !SAFE_METHODS.has(request.method)) request.headers.set("X-CSRF-Token", token);
  try {
    return await fetch(request);
  } catch (cause) {
    throw new NetworkError(cause);
  }
}

function factsOf(body: unknown): Partial<ErrorFacts> {
  if (typeof body !== "object" || body === null || !("error" in body)) return {};
  const facts = body.error;
  return typeof facts === "object" && facts !== null ? facts : {};
}
