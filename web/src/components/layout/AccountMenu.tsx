import { lazy, Suspense } from "react";
import { ButtonLink } from "@/components/ui/Button";
import { useMe } from "@/lib/queries";

const MemberMenu = lazy(() => import("@/components/layout/MemberMenu"));

/** The way in for strangers, the way out for members. */
export function AccountMenu() {
  const me = useMe();
  const place = <span className="h-8 w-20" />;
  if (me.isPending) return place;
  if (me.data) {
    return (
      <Suspense fallback={place}>
        <MemberMenu name={me.data.name} />
      </Suspense>
    );
  }
  return (
    <>
      <ButtonLink to="/sign-in" size="small" tone="quiet">
        Sign in
      </ButtonLink>
      <ButtonLink to="/sign-up" size="small" tone="primary" className="max-[30rem]:hidden">
        Sign up
      </ButtonLink>
    </>
  );
}
