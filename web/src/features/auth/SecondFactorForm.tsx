import { zodResolver } from "@hookform/resolvers/zod";
import { useForm } from "react-hook-form";
import { Button } from "@/components/ui/Button";
import { Field } from "@/components/ui/Field";
import { FormError } from "@/components/ui/Notice";
import { useAnswerChallenge } from "@/features/auth/api";
import { secondFactorSchema, type SecondFactorValues } from "@/features/auth/schemas";

/** The second half of a sign-in, where the account asks for it. */
export function SecondFactorForm({ challenge }: { readonly challenge: string }) {
  const answer = useAnswerChallenge();
  const { register, handleSubmit, formState } = useForm<SecondFactorValues>({
    resolver: zodResolver(secondFactorSchema),
  });

  const submit = handleSubmit(async ({ code }) => {
    await answer.mutateAsync({ challenge, code });
  });

  return (
    <form noValidate className="space-y-4" onSubmit={(event) => void submit(event).catch(() => undefined)}>
      <Field
        label="Code of your authenticator app, or a recovery code"
        autoComplete="one-time-code"
        error={formState.errors.code?.message}
        {...register("code")}
      />
      <FormError error={answer.error} />
      <Button type="submit" tone="primary" size="large" className="w-full" disabled={answer.isPending}>
        {answer.isPending ? "Signing in…" : "Sign in"}
      </Button>
    </form>
  );
}
