/** Drawn here: a whole icon set is more than these few lines. All of them are decoration beside a word. */
import type { ReactNode } from "react";

export function Logo() {
  return (
    <svg viewBox="0 0 32 32" className="size-7" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#4f46e5" />
      <path d="M22 11.5a7 7 0 1 0 0 9" fill="none" stroke="#fff" strokeWidth="3.2" strokeLinecap="round" />
      <circle cx="16" cy="16" r="2.2" fill="#fff" />
    </svg>
  );
}

export function Icon({ children }: { readonly children: ReactNode }) {
  return (
    <svg
      viewBox="0 0 24 24"
      className="size-5"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export function MarketsIcon() {
  return (
    <Icon>
      <path d="M4 19V9M10 19V5M16 19v-7M21 19H3" />
    </Icon>
  );
}

export function TradeIcon() {
  return (
    <Icon>
      <path d="M7 4v16m0 0-4-4m4 4 4-4M17 20V4m0 0-4 4m4-4 4 4" />
    </Icon>
  );
}

export function PortfolioIcon() {
  return (
    <Icon>
      <path d="M12 3v9h9a9 9 0 1 1-9-9Z" />
      <path d="M16 3.5A9 9 0 0 1 20.5 8H16Z" />
    </Icon>
  );
}
