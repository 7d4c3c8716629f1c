import { useState } from "react";
import { useNavigate } from "react-router";
import { Button } from "@/components/ui/Button";
import { showToast } from "@/components/ui/toasts";
import { api, unwrap } from "@/lib/api-client";
import { ApiError, messageOf } from "@/lib/api-error";
import { tellTabs } from "@/lib/session";

export default function MemberMenu({ name }: { readonly name: string }) {
  const navigate = useNavigate();
  const [leaving, setLeaving] = useState(false);
  const signOut = async () => {
    setLeaving(true);
    try {
      await unwrap(api.POST("/api/v1/auth/logout", { body: {} }));
    } catch (error) {
      // Where the session is over already, there is nothing left to end.
      if (!(error instanceof ApiError && error.status === 401)) {
        showToast("failed", `You are still signed in. ${messageOf(error)}`);
        setLeaving(false);
        return;
      }
    }
    tellTabs("signed-out");
    await navigate("/");
  };
  return (
    <>
      <span className="hidden max-w-40 truncate text-sm text-muted sm:block">{name}</span>
      <Button size="small" tone="quiet" disabled={leaving} onClick={() => void signOut()}>
        Sign out
      </Button>
    </>
  );
}
