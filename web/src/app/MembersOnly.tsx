import { Navigate, Outlet, useLocation } from "react-router";
import { PageSkeleton } from "@/app/PageSkeleton";
import { ErrorNotice } from "@/components/ui/Notice";
import { useMe } from "@/lib/queries";

/** Around the pages that show what is somebody's own: sends strangers to the door, and back here afterwards. */
export default function MembersOnly() {
  const me = useMe();
  const { pathname } = useLocation();
  if (me.data === undefined) {
    return me.error === null ? <PageSkeleton /> : <ErrorNotice error={me.error} onRetry={() => void me.refetch()} />;
  }
  return me.data === null ? <Navigate to="/sign-in" replace state={{ from: pathname }} /> : <Outlet />;
}
