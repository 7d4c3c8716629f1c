import { Suspense, type ReactNode } from "react";
import { Navigate, Outlet, Route, Routes, useLocation } from "react-router";
import { ErrorBoundary } from "@/app/ErrorBoundary";
import { lazyPage } from "@/app/lazy-page";
import { Shell } from "@/components/layout/Shell";
import { ErrorNotice } from "@/components/ui/Notice";
import { Skeleton } from "@/components/ui/Skeleton";
import { useMe } from "@/lib/queries";

const NotFoundPage = lazyPage(() => import("@/app/NotFoundPage"));
const LandingPage = lazyPage(() => import("@/features/landing/LandingPage"));
const SignUpPage = lazyPage(() => import("@/features/auth/SignUpPage"));
const VerifyPage = lazyPage(() => import("@/features/auth/VerifyPage"));
const SignInPage = lazyPage(() => import("@/features/auth/SignInPage"));
const ResetPage = lazyPage(() => import("@/features/auth/ResetPage"));
const FreezePage = lazyPage(() => import("@/features/auth/FreezePage"));
const MarketsPage = lazyPage(() => import("@/features/markets/MarketsPage"));
const TradePage = lazyPage(() => import("@/features/trading/TradePage"));
const PortfolioPage = lazyPage(() => import("@/features/portfolio/PortfolioPage"));

export function Router() {
  return (
    <Routes>
      <Route element={<Frame />}>
        <Route index element={<LandingPage />} />
        <Route path="sign-up" element={<GuestsOnly page={<SignUpPage />} />} />
        <Route path="verify" element={<GuestsOnly page={<VerifyPage />} />} />
        <Route path="sign-in" element={<GuestsOnly page={<SignInPage />} />} />
        <Route path="reset" element={<ResetPage />} />
        <Route path="freeze" element={<FreezePage />} />
        <Route path="markets" element={<MarketsPage />} />
        <Route path="trade" element={<Navigate to="/trade/BTC-USD" replace />} />
        <Route path="trade/:symbol" element={<TradePage />} />
        <Route path="portfolio" element={<MembersOnly page={<PortfolioPage />} />} />
        <Route path="*" element={<NotFoundPage />} />
      </Route>
    </Routes>
  );
}

function Frame() {
  const { pathname } = useLocation();
  return (
    <Shell>
      <ErrorBoundary key={pathname}>
        <Suspense fallback={<PageSkeleton />}>
          <Outlet />
        </Suspense>
      </ErrorBoundary>
    </Shell>
  );
}

function PageSkeleton() {
  return (
    <output className="block min-h-[70vh] space-y-4 py-8">
      <span className="sr-only">Loading…</span>
      <Skeleton className="h-8 w-48" />
      <Skeleton className="h-64 w-full" />
    </output>
  );
}

/** Sends strangers to the door, and back here afterwards. */
function MembersOnly({ page }: { readonly page: ReactNode }) {
  const me = useMe();
  const { pathname } = useLocation();
  if (me.data === undefined) {
    return me.error === null ? <PageSkeleton /> : <ErrorNotice error={me.error} onRetry={() => void me.refetch()} />;
  }
  return me.data === null ? <Navigate to="/sign-in" replace state={{ from: pathname }} /> : page;
}

/** Whoever is signed in goes where they wanted to go. */
function GuestsOnly({ page }: { readonly page: ReactNode }) {
  const me = useMe();
  const state: unknown = useLocation().state;
  if (!me.data) return page;
  const from = typeof state === "object" && state !== null && "from" in state ? state.from : null;
  return <Navigate to={typeof from === "string" ? from : "/trade/BTC-USD"} replace />;
}
