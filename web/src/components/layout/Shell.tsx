import { lazy, Suspense, type ReactNode } from "react";
import { Link, NavLink } from "react-router";
import { AccountMenu } from "@/components/layout/AccountMenu";
import { Logo, MarketsIcon, PortfolioIcon, TradeIcon } from "@/components/layout/icons";
import { classNames } from "@/components/ui/class-names";

// With the stream, which the first paint does not wait for. The footer is always below the first screen.
const ConnectionChip = lazy(() => import("@/components/layout/ConnectionChip"));
const Footer = lazy(() => import("@/components/layout/Footer"));

const PLACES = [
  { to: "/markets", name: "Markets", Icon: MarketsIcon },
  { to: "/trade", name: "Trade", Icon: TradeIcon },
  { to: "/portfolio", name: "Portfolio", Icon: PortfolioIcon },
];

/** What is around every page. */
export function Shell({ children }: { readonly children: ReactNode }) {
  return (
    <div className="pb-16 sm:pb-0">
      <a
        href="#main"
        className="absolute left-4 z-50 -translate-y-20 rounded-b-lg bg-accent-fill px-4 py-3 font-semibold text-on-fill focus:translate-y-0"
      >
        Skip to the page
      </a>
      <header className="sticky top-0 z-30 border-b border-line bg-surface">
        <div className="mx-auto flex h-14 max-w-[100rem] items-center gap-2 px-4 sm:gap-6">
          <Link to="/" className="flex items-center gap-2 rounded-md font-bold tracking-tight">
            <Logo />
            <span className="max-[24rem]:sr-only">CryptoVault</span>
          </Link>
          <nav aria-label="Main" className="hidden gap-1 sm:flex">
            {PLACES.map(({ to, name }) => (
              <NavLink
                key={to}
                to={to}
                className={({ isActive }) =>
                  classNames(
                    "rounded-lg px-3 py-2 text-sm font-medium",
                    isActive ? "bg-raised text-text" : "text-muted hover:text-text",
                  )
                }
              >
                {name}
              </NavLink>
            ))}
          </nav>
          <div className="ml-auto flex items-center gap-2 sm:gap-3">
            <Suspense fallback={<span className="h-6 w-16" />}>
              <ConnectionChip />
            </Suspense>
            <AccountMenu />
          </div>
        </div>
      </header>
      {/* As high as the screen from the first moment, so that the footer does not move when the page arrives. */}
      <main
        id="main"
        tabIndex={-1}
        className="mx-auto min-h-[calc(100dvh-3.5rem)] w-full max-w-[100rem] px-4 pb-8 outline-none"
      >
        {children}
      </main>
      <Suspense>
        <Footer />
      </Suspense>
      <nav
        aria-label="Main, at the bottom"
        className="fixed inset-x-0 bottom-0 z-30 grid grid-cols-3 border-t border-line bg-surface sm:hidden"
      >
        {PLACES.map(({ to, name, Icon }) => (
          <NavLink
            key={to}
            to={to}
            className={({ isActive }) =>
              classNames(
                "flex min-h-14 flex-col items-center justify-center gap-1 text-xs font-medium",
                isActive ? "text-accent" : "text-muted",
              )
            }
          >
            <Icon />
            {name}
          </NavLink>
        ))}
      </nav>
    </div>
  );
}
