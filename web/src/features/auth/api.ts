import { useMutation, useQueryClient } from "@tanstack/react-query";
import type { ForgotValues, ResetValues, SignInValues, SignUpValues } from "@/features/auth/schemas";
import { api, unwrap } from "@/lib/api-client";
import type { SignedIn } from "@/lib/api-types";
import { keys } from "@/lib/queries";
import { tellTabs } from "@/lib/session";

export function useSignUp() {
  return useMutation({
    mutationFn: (values: SignUpValues) => unwrap(api.POST("/api/v1/auth/signup", { body: values })),
  });
}

export function useSignIn() {
  const enter = useEnter();
  return useMutation({
    mutationFn: (values: SignInValues) => unwrap(api.POST("/api/v1/auth/login", { body: values })),
    onSuccess: enter,
  });
}

export function useAnswerChallenge() {
  const enter = useEnter();
  return useMutation({
    mutationFn: (values: { challenge: string; code: string }) =>
      unwrap(api.POST("/api/v1/auth/login/mfa", { body: { ...values, delivery: "cookie" } })),
    onSuccess: enter,
  });
}

export function useForgotPassword() {
  return useMutation({
    mutationFn: (values: ForgotValues) => unwrap(api.POST("/api/v1/auth/password/forgot", { body: values })),
  });
}

export function useResetPassword() {
  return useMutation({
    mutationFn: (values: ForgotValues & ResetValues) =>
      unwrap(api.POST("/api/v1/auth/password/reset", { body: values })),
  });
}

export function useFreeze() {
  return useMutation({
    // The link alone says which account: a browser's own session, whatever became of it, must not stand in its way.
    mutationFn: (token: string) => unwrap(api.POST("/api/v1/auth/freeze", { body: { token }, credentials: "omit" })),
  });
}

export function useVerifyEmail() {
  const enter = useEnter();
  return useMutation({
    mutationFn: (values: { email: string; code: string }) =>
      unwrap(api.POST("/api/v1/auth/verify-email", { body: { ...values, delivery: "cookie" } })),
    onSuccess: enter,
  });
}

export function useResendCode() {
  return useMutation({
    mutationFn: (email: string) => unwrap(api.POST("/api/v1/auth/resend-code", { body: { email } })),
  });
}

/** The cookies are set: let this tab and the others know who is here. */
function useEnter(): (signedIn: SignedIn) => void {
  const client = useQueryClient();
  return ({ user }) => {
    client.setQueryData(keys.me, user);
    tellTabs("signed-in");
  };
}
