import { zodResolver } from "@hookform/resolvers/zod";
import { useForm } from "react-hook-form";
import { Link, useLocation } from "react-router";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { FormError } from "@/components/ui/Notice";
import { useSignIn } from "@/features/auth/api";
import { AuthCard } from "@/features/auth/AuthCard";
import { Countdown, useCountdown } from "@/features/auth/Countdown";
import { rememberPendingEmail } from "@/features/auth/pending-email";
import { SecondFactorForm } from "@/features/auth/SecondFactorForm";
import { signInSchema, type SignInValues } from "@/features/auth/schemas";
import { ApiError } from "@/lib/api-error";

export default function SignInPage() {
  const signIn = useSignIn();
  const { state } = useLocation();
  const lock = useCountdown();
  const { register, handleSubmit, formState } = useForm<SignInValues>({ resolver: zodResolver(signInSchema) });
  const { errors } = formState;

  const submit = handleSubmit(async (values) => {
    try {
      await signIn.mutateAsync(values);
    } catch (error) {
      if (!(error instanceof ApiError)) return;
      // Kept for who signed up and has not confirmed the address: the reply does not tell them from anybody else.
      if (error.reason === "invalid_credentials") rememberPendingEmail(values.email);
      if (error.retryAfterSeconds !== null) lock.start(error.retryAfterSeconds);
    }
  });

  if (signIn.error instanceof ApiError && signIn.error.code === "MFA_REQUIRED") {
    return (
      <AuthCard title="One more step">
        <SecondFactorForm challenge={signIn.error.details["challenge"] ?? ""} />
      </AuthCard>
    );
  }
  return (
    <AuthCard
      title="Sign in"
      lead={
        <>
          New here?{" "}
          <Link to="/sign-up" state={state} className="font-medium text-accent underline">
            Create an account
          </Link>
        </>
      }
    >
      <form noValidate className="space-y-4" onSubmit={(event) => void submit(event)}>
        <Field
          label="E-mail"
          type="email"
          autoComplete="username"
          inputMode="email"
          error={errors.email?.message}
          {...register("email")}
        />
        <Field
          label="Password"
          type="password"
          autoComplete="current-password"
          error={errors.password?.message}
          {...register("password")}
        />
        <FormError error={signIn.error}>
          {signIn.error instanceof ApiError && signIn.error.reason === "invalid_credentials" && (
            <p>
              Just signed up?{" "}
              <Link to="/verify" state={state} className="text-accent underline">
                Enter your code
              </Link>
            </p>
          )}
          {lock.secondsLeft > 0 && (
            <p>
              You can try again in <Countdown seconds={lock.secondsLeft} />.
            </p>
          )}
        </FormError>
        <Button
          type="submit"
          tone="primary"
          size="large"
          className="w-full"
          disabled={signIn.isPending || lock.secondsLeft > 0}
        >
          {signIn.isPending ? "Signing in…" : "Sign in"}
        </Button>
        <p className="text-center text-sm">
          <Link to="/reset" className="text-accent underline">
            Forgot your password?
          </Link>
        </p>
      </form>
    </AuthCard>
  );
}
