import { zodResolver } from "@hookform/resolvers/zod";
import { useForm } from "react-hook-form";
import { Link, useNavigate } from "react-router";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { FormError } from "@/components/ui/Notice";
import { useForgotPassword, useResetPassword } from "@/features/auth/api";
import { AuthCard } from "@/features/auth/AuthCard";
import { forgotSchema, PASSWORD_HINT, resetSchema, type ForgotValues, type ResetValues } from "@/features/auth/schemas";

/** A code to the mailbox, then a new password. It opens a locked and a frozen account, too. */
export default function ResetPage() {
  const forgot = useForgotPassword();
  const { register, handleSubmit, formState } = useForm<ForgotValues>({ resolver: zodResolver(forgotSchema) });

  if (forgot.isSuccess) return <NewPassword email={forgot.variables.email} />;
  return (
    <AuthCard title="Set a new password" lead="We send a code to your mailbox, if there is an account.">
      <form
        noValidate
        className="space-y-4"
        onSubmit={(event) => void handleSubmit((values) => forgot.mutate(values))(event)}
      >
        <Field
          label="E-mail"
          type="email"
          autoComplete="username"
          inputMode="email"
          error={formState.errors.email?.message}
          {...register("email")}
        />
        <FormError error={forgot.error} />
        <Button type="submit" tone="primary" size="large" className="w-full" disabled={forgot.isPending}>
          {forgot.isPending ? "Sending…" : "Send the code"}
        </Button>
      </form>
    </AuthCard>
  );
}

function NewPassword({ email }: { readonly email: string }) {
  const reset = useResetPassword();
  const navigate = useNavigate();
  const { register, handleSubmit, formState } = useForm<ResetValues>({ resolver: zodResolver(resetSchema) });

  const submit = handleSubmit(async (values) => {
    await reset.mutateAsync({ email, ...values });
    await navigate("/sign-in");
  });

  return (
    <AuthCard
      title="Set a new password"
      lead={
        <>
          The code is in the mail to {email}. All sessions will end. <Link to="/sign-in">Back to sign-in</Link>
        </>
      }
    >
      <form noValidate className="space-y-4" onSubmit={(event) => void submit(event).catch(() => undefined)}>
        <Field
          label="Code"
          autoComplete="one-time-code"
          inputMode="numeric"
          error={formState.errors.code?.message}
          {...register("code")}
        />
        <Field
          label="New password"
          type="password"
          autoComplete="new-password"
          hint={PASSWORD_HINT}
          error={formState.errors.new_password?.message}
          {...register("new_password")}
        />
        <FormError error={reset.error} />
        <Button type="submit" tone="primary" size="large" className="w-full" disabled={reset.isPending}>
          {reset.isPending ? "Setting…" : "Set the password"}
        </Button>
      </form>
    </AuthCard>
  );
}
