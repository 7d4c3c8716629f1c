import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { fetchInSession } from "@/lib/api-client";
import { NetworkError } from "@/lib/api-error";
import { refreshSession } from "@/lib/refresh-session";
import { csrfToken, onSessionNews } from "@/lib/session";

let cookie = "";
let calls: string[] = [];
let answers: Record<string, () => Response | Promise<Response>> = {};

beforeEach(() => {
  cookie = "other=1; __Host-cv_csrf=first";
  calls = [];
  vi.spyOn(document, "cookie", "get").mockImplementation(() => cookie);
  vi.stubGlobal("fetch", async (input: Request | string, options?: RequestInit) => {
    const request = new Request(new URL(typeof input === "string" ? input : input.url, "http://localhost:3000"), {
      method: typeof input === "string" ? (options?.method ?? "GET") : input.method,
    });
    const { pathname } = new URL(request.url);
    calls.push(`${request.method} ${pathname}`);
    return (await answers[pathname]?.()) ?? new Response("{}", { status: 404 });
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

const REFRESH = "/api/v1/auth/refresh";
const ORDERS = "/api/v1/orders";

const WRONG_TOKEN = { error: { code: "AUTHORIZATION_ERROR", details: { reason: "csrf_token_mismatch" } } };

function post(path: string): Request {
  return new Request(`http://localhost:3000${path}`, { method: "POST", body: "{}" });
}

function get(path: string): Request {
  return new Request(`http://localhost:3000${path}`);
}

test("reads the CSRF token among other cookies", () => {
  expect(csrfToken()).toBe("first");
  cookie = "";
  expect(csrfToken()).toBeNull();
});

test("an expired access token is renewed and the request sent again", async () => {
  let fresh = false;
  answers = {
    [ORDERS]: () => new Response("{}", { status: fresh ? 200 : 401 }),
    [REFRESH]: () => {
      fresh = true;
      cookie = "__Host-cv_csrf=second";
      return new Response("{}", { status: 200 });
    },
  };
  expect((await fetchInSession(get(ORDERS))).status).toBe(200);
  expect(calls).toEqual([`GET ${ORDERS}`, `POST ${REFRESH}`, `GET ${ORDERS}`]);
});

test("many requests refused at once share one refresh", async () => {
  answers = {
    [REFRESH]: () => {
      cookie = "__Host-cv_csrf=second";
      return new Response("{}", { status: 200 });
    },
  };
  expect(await Promise.all(Array.from({ length: 5 }, () => refreshSession("first")))).toEqual(Array(5).fill(true));
  expect(calls).toEqual([`POST ${REFRESH}`]);
});

test("what another tab has renewed is not renewed again: that would end the session", async () => {
  cookie = "__Host-cv_csrf=by-another-tab";
  expect(await refreshSession("first")).toBe(true);
  expect(calls).toEqual([]);
});

test("a session that is over is told to everybody, and the refusal stands", async () => {
  const news = vi.fn();
  const leave = onSessionNews(news);
  answers = {
    [ORDERS]: () => new Response("{}", { status: 401 }),
    [REFRESH]: () => new Response("{}", { status: 401 }),
  };
  expect((await fetchInSession(get(ORDERS))).status).toBe(401);
  expect(news).toHaveBeenCalledWith("signed-out");
  leave();
});

test("a refresh that the server could not answer ends nothing", async () => {
  const news = vi.fn();
  const leave = onSessionNews(news);
  answers = {
    [ORDERS]: () => new Response("{}", { status: 401 }),
    [REFRESH]: () => new Response("{}", { status: 503 }),
  };
  await expect(fetchInSession(get(ORDERS))).rejects.toThrow(NetworkError);
  expect(news).not.toHaveBeenCalled();
  leave();
});

test("nobody who is not signed in is renewed", async () => {
  cookie = "";
  answers = { [ORDERS]: () => new Response("{}", { status: 401 }) };
  expect((await fetchInSession(get(ORDERS))).status).toBe(401);
  expect(calls).toEqual([`GET ${ORDERS}`]);
});

test("a wrong password is no reason to renew", async () => {
  answers = { "/api/v1/auth/login": () => new Response("{}", { status: 401 }) };
  await fetchInSession(new Request("http://localhost:3000/api/v1/auth/login", { method: "POST", body: "{}" }));
  expect(calls).toEqual(["POST /api/v1/auth/login"]);
});

test("a change that crossed another tab's refresh is sent again with the token of now, and signs nobody out", async () => {
  const news = vi.fn();
  const leave = onSessionNews(news);
  answers = {
    [ORDERS]: () => {
      if (cookie === "__Host-cv_csrf=second") return new Response("{}", { status: 202 });
      cookie = "__Host-cv_csrf=second";
      return Response.json(WRONG_TOKEN, { status: 403 });
    },
  };
  expect((await fetchInSession(post(ORDERS))).status).toBe(202);
  expect(calls).toEqual([`POST ${ORDERS}`, `POST ${ORDERS}`]);
  expect(news).not.toHaveBeenCalled();
  leave();
});

test("whoever may not do something is told once, whatever other tabs do", async () => {
  answers = {
    [ORDERS]: () => {
      cookie = "__Host-cv_csrf=second";
      return Response.json({ error: { details: { reason: "permission_missing" } } }, { status: 403 });
    },
  };
  expect((await fetchInSession(post(ORDERS))).status).toBe(403);
  expect(calls).toEqual([`POST ${ORDERS}`]);
});

test("where the browser's cookies do not belong together, a new sign-in is asked for", async () => {
  const news = vi.fn();
  const leave = onSessionNews(news);
  answers = { [ORDERS]: () => Response.json(WRONG_TOKEN, { status: 403 }) };
  expect((await fetchInSession(post(ORDERS))).status).toBe(403);
  expect(calls).toEqual([`POST ${ORDERS}`]);
  expect(news).toHaveBeenCalledWith("signed-out");
  leave();
});

test("a sign-out that was refused does not look like one", async () => {
  const news = vi.fn();
  const leave = onSessionNews(news);
  const path = "/api/v1/auth/logout";
  answers = { [path]: () => Response.json(WRONG_TOKEN, { status: 403 }) };
  expect((await fetchInSession(post(path))).status).toBe(403);
  expect(news).not.toHaveBeenCalled();
  leave();
});

test.each([401, 403])("a refresh refused with %d signs nobody out who has signed in meanwhile", async (status) => {
  const news = vi.fn();
  const leave = onSessionNews(news);
  answers = {
    [REFRESH]: () => {
      cookie = "__Host-cv_csrf=of-a-new-session";
      return new Response("{}", { status });
    },
  };
  expect(await refreshSession("first")).toBe(true);
  expect(news).not.toHaveBeenCalled();
  leave();
});
