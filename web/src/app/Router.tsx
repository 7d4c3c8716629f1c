import { Suspense, type ReactNode } from "react";
import { Navigate, Outlet, Route, Routes, useLocation } from "react-router";
import { ErrorBoundary } from "@/app/ErrorBoundary";
import { lazyPage } from "@/app/lazy-page";
import { PageSkeleton } from "@/app/PageSkeleton";
import { Shell } from "@/components/layout/Shell";
import { useMe } from "@/lib/queries";

const MembersOnly = lazyPage(() => import("@/app/MembersOnly"));
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
        <Route element={<MembersOnly />}>
          <Route path="portfolio" element={<PortfolioPage />} />
        </Route>
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

/** Whoever is signed in goes where they wanted to go. */
function GuestsOnly({ page }: { readonly page: ReactNode }) {
  const me = useMe();
  const state: unknown = useLocation().state;
  if (!me.data) return page;
  const from = typeof state === "object" && state !== null && "from" in state ? state.from : null;
  return <Navigate to={typeof from === "string" ? from : "/trade/BTC-USD"} replace />;
}
