import { useState } from "react";
import { Link } from "react-router";
import { Button } from "@/components/ui/Button";
import { FormError } from "@/components/ui/Notice";
import { useFreeze } from "@/features/auth/api";
import { AuthCard } from "@/features/auth/AuthCard";

/** Where the link in a mail leads. Its token stands after the #, which no server sees; opening it changes nothing yet. */
export default function FreezePage() {
  const [token] = useState(() => window.location.hash.slice(1));
  const freeze = useFreeze();

  if (freeze.isSuccess) {
    return (
      <AuthCard title="Your account is frozen">
        <p>
          All sessions and API keys have ended, and nobody can sign in. <Link to="/reset">Set a new password</Link> to
          open it again.
        </p>
      </AuthCard>
    );
  }
  if (token === "") {
    return (
      <AuthCard title="This link is not complete">
        <p>
          Open it again from the mail, or <Link to="/sign-in">sign in</Link>.
        </p>
      </AuthCard>
    );
  }
  return (
    <AuthCard title="Freeze your account" lead="All sessions and API keys end, and nobody can sign in any more.">
      <FormError error={freeze.error} />
      <Button
        type="button"
        tone="primary"
        size="large"
        className="w-full"
        disabled={freeze.isPending}
        onClick={() => freeze.mutate(token)}
      >
        {freeze.isPending ? "Freezing…" : "Freeze my account"}
      </Button>
    </AuthCard>
  );
}
