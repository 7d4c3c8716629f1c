import { zodResolver } from "@hookform/resolvers/zod";
import { useForm } from "react-hook-form";
import { Link, useLocation, useNavigate } from "react-router";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { FormError } from "@/components/ui/Notice";
import { useSignUp } from "@/features/auth/api";
import { AuthCard } from "@/features/auth/AuthCard";
import { rememberPendingEmail } from "@/features/auth/pending-email";
import { PASSWORD_HINT, signUpSchema, type SignUpValues } from "@/features/auth/schemas";

export default function SignUpPage() {
  const signUp = useSignUp();
  const navigate = useNavigate();
  const { state } = useLocation();
  const { register, handleSubmit, formState } = useForm<SignUpValues>({ resolver: zodResolver(signUpSchema) });
  const { errors } = formState;

  const submit = handleSubmit(async (values) => {
    await signUp.mutateAsync(values);
    rememberPendingEmail(values.email);
    await navigate("/verify", { state });
  });

  return (
    <AuthCard
      title="Create your account"
      lead={
        <>
          Already have one?{" "}
          <Link to="/sign-in" state={state} className="font-medium text-accent underline">
            Sign in
          </Link>
        </>
      }
    >
      <form noValidate className="space-y-4" onSubmit={(event) => void submit(event).catch(() => undefined)}>
        <Field label="Name" autoComplete="name" error={errors.name?.message} {...register("name")} />
        <Field
          label="E-mail"
          type="email"
          autoComplete="email"
          inputMode="email"
          error={errors.email?.message}
          {...register("email")}
        />
        <Field
          label="Password"
          type="password"
          autoComplete="new-password"
          hint={PASSWORD_HINT}
          error={errors.password?.message}
          {...register("password")}
        />
        <FormError error={signUp.error} />
        <Button type="submit" tone="primary" size="large" className="w-full" disabled={signUp.isPending}>
          {signUp.isPending ? "Creating…" : "Create account"}
        </Button>
      </form>
    </AuthCard>
  );
}
