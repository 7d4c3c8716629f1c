import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { MemoryRouter } from "react-router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import FreezePage from "@/features/auth/FreezePage";
import { forgetPendingEmail, pendingEmail } from "@/features/auth/pending-email";
import ResetPage from "@/features/auth/ResetPage";
import SignInPage from "@/features/auth/SignInPage";

const asked: { path: string; body: unknown }[] = [];
let cookies: RequestCredentials[] = [];
let answers: Response[] = [];

beforeEach(() => {
  asked.length = 0;
  cookies = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    cookies.push(request.credentials);
    asked.push({ path: new URL(request.url).pathname, body: await request.json() });
    return answers.shift() ?? new Response(null, { status: 500 });
  });
});

afterEach(() => {
  vi.unstubAllGlobals();
  window.location.hash = "";
  forgetPendingEmail();
});

function show(page: ReactNode) {
  render(
    <QueryClientProvider client={new QueryClient()}>
      <MemoryRouter>{page}</MemoryRouter>
    </QueryClientProvider>,
  );
}

function refused(code: string, details: Record<string, string>): Response {
  return Response.json({ error: { code, message: "Enter a code.", details } }, { status: 401 });
}

test("the link of a mail freezes only when the button is pressed", async () => {
  window.location.hash = "#ticket-1";
  answers = [Response.json({ status: "accepted" }, { status: 202 })];
  show(<FreezePage />);
  expect(asked).toEqual([]);
  await userEvent.click(screen.getByRole("button", { name: "Freeze my account" }));
  expect(await screen.findByText(/nobody can sign in/)).toBeTruthy();
  expect(asked).toEqual([{ path: "/api/v1/auth/freeze", body: { token: "ticket-1" } }]);
  expect(cookies).toEqual(["omit"]);
});

test("a link without its token offers nothing to press", () => {
  show(<FreezePage />);
  expect(screen.queryByRole("button")).toBeNull();
});

test("where a second factor is on, the password is followed by its code", async () => {
  answers = [refused("MFA_REQUIRED", { reason: "mfa_required", challenge: "challenge-1" })];
  show(<SignInPage />);
  await userEvent.type(screen.getByLabelText("E-mail"), "ada@example.com");
  await userEvent.type(screen.getByLabelText("Password"), "correct horse battery");
  await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
  const code = await screen.findByLabelText(/authenticator app/);
  answers = [refused("AUTHENTICATION_ERROR", { reason: "invalid_code" })];
  await userEvent.type(code, "123456");
  await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
  expect(await screen.findByRole("alert")).toBeTruthy();
  expect(asked[1]).toEqual({
    path: "/api/v1/auth/login/mfa",
    body: { challenge: "challenge-1", code: "123456", delivery: "cookie" },
  });
});

test("who may not have confirmed the address yet is shown the way to the code", async () => {
  answers = [refused("AUTHENTICATION_ERROR", { reason: "invalid_credentials" })];
  show(<SignInPage />);
  await userEvent.type(screen.getByLabelText("E-mail"), "ada@example.com");
  await userEvent.type(screen.getByLabelText("Password"), "correct horse battery");
  await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
  const link = await screen.findByRole("link", { name: "Enter your code" });
  expect(link.getAttribute("href")).toBe("/verify");
  expect(pendingEmail()).toBe("ada@example.com");
});

test("a forgotten password is set anew by the code from the mail", async () => {
  answers = [
    Response.json({ status: "accepted" }, { status: 202 }),
    Response.json({ status: "accepted" }, { status: 202 }),
  ];
  show(<ResetPage />);
  await userEvent.type(screen.getByLabelText("E-mail"), "ada@example.com");
  await userEvent.click(screen.getByRole("button", { name: "Send the code" }));
  await userEvent.type(await screen.findByLabelText("Code"), "123456");
  await userEvent.type(screen.getByLabelText("New password"), "a new battery staple");
  await userEvent.click(screen.getByRole("button", { name: "Set the password" }));
  expect(asked).toEqual([
    { path: "/api/v1/auth/password/forgot", body: { email: "ada@example.com" } },
    {
      path: "/api/v1/auth/password/reset",
      body: { email: "ada@example.com", code: "123456", new_password: "a new battery staple" },
    },
  ]);
});
