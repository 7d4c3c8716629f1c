import { useRef, useState, type ChangeEvent, type FormEvent } from "react";
import { Link, useLocation } from "react-router";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { FormError } from "@/components/ui/Notice";
import { showToast } from "@/components/ui/toasts";
import { useResendCode, useVerifyEmail } from "@/features/auth/api";
import { AuthCard } from "@/features/auth/AuthCard";
import { Countdown, useCountdown } from "@/features/auth/Countdown";
import { forgetPendingEmail, pendingEmail } from "@/features/auth/pending-email";
import { ApiError, messageOf } from "@/lib/api-error";

const CODE_LENGTH = 6;
// As often as auth sends a new one.
const RESEND_SECONDS = 60;

export default function VerifyPage() {
  const { state } = useLocation();
  const [email] = useState(pendingEmail);
  if (email === null) {
    return (
      <AuthCard title="Check your mail" lead="There is no sign-up waiting for a code in this tab.">
        <p className="text-sm">
          <Link to="/sign-in" state={state} className="font-medium text-accent underline">
            Sign in
          </Link>{" "}
          with your e-mail and password: where the address is not confirmed yet, the way to a new code is there.
        </p>
      </AuthCard>
    );
  }
  return <CodeForm email={email} />;
}

function CodeForm({ email }: { readonly email: string }) {
  const [code, setCode] = useState("");
  const [incomplete, setIncomplete] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  const verify = useVerifyEmail();

  const send = (complete: string) =>
    verify.mutate(
      { email, code: complete },
      // A wrong code is marked, so that the right one is typed over it.
      { onSuccess: forgetPendingEmail, onError: () => field.current?.select() },
    );

  const change = (event: ChangeEvent<HTMLInputElement>) => {
    // A pasted code may come with spaces or a hyphen in the middle.
    const digits = event.target.value.replace(/\D/g, "").slice(0, CODE_LENGTH);
    setIncomplete(false);
    setCode(digits);
    if (digits.length === CODE_LENGTH && digits !== code && !verify.isPending) send(digits);
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    setIncomplete(code.length < CODE_LENGTH);
    if (code.length === CODE_LENGTH && !verify.isPending) send(code);
  };

  return (
    <AuthCard
      title="Check your mail"
      lead={`If ${email} can have an account here, a code of six digits is on its way to it.`}
    >
      <form noValidate className="space-y-4" onSubmit={submit}>
        <Field
          ref={field}
          label="Code"
          name="code"
          inputMode="numeric"
          autoComplete="one-time-code"
          value={code}
          onChange={change}
          // oxlint-disable-next-line jsx-a11y/no-autofocus -- the page is about this one field
          autoFocus
          error={incomplete ? "The code has six digits." : undefined}
        />
        <FormError error={verify.error} />
        <Button type="submit" tone="primary" size="large" className="w-full" disabled={verify.isPending}>
          {verify.isPending ? "Checking…" : "Confirm"}
        </Button>
        <Resend email={email} />
      </form>
    </AuthCard>
  );
}

function Resend({ email }: { readonly email: string }) {
  const resend = useResendCode();
  const wait = useCountdown();
  const again = () =>
    resend.mutate(email, {
      onSuccess: () => {
        wait.start(RESEND_SECONDS);
        showToast("done", "A new code is on its way.");
      },
      onError: (error) => {
        if (error instanceof ApiError && error.retryAfterSeconds !== null) wait.start(error.retryAfterSeconds);
        showToast("failed", messageOf(error));
      },
    });
  return (
    <Button tone="quiet" className="w-full" onClick={again} disabled={resend.isPending || wait.secondsLeft > 0}>
      {wait.secondsLeft > 0 ? (
        <span>
          A new code in <Countdown seconds={wait.secondsLeft} />
        </span>
      ) : (
        "Send a new code"
      )}
    </Button>
  );
}
