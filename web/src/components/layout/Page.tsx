import { useEffect, useRef, type ReactNode } from "react";

interface PageProps {
  readonly title: string;
  /** The heading is there for screen readers only. */
  readonly headingHidden?: boolean;
  readonly actions?: ReactNode;
  readonly className?: string;
  readonly children: ReactNode;
}

let pagesShown = 0;

/** Names the page, and puts the focus on that name after a change of page, so that keyboard and reader start there. */
export function Page({ title, headingHidden = false, actions, className, children }: PageProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (pagesShown > 0) heading.current?.focus({ preventScroll: true });
    pagesShown += 1;
    window.scrollTo(0, 0);
  }, []);
  return (
    <div className={className}>
      <title>{`${title} · CryptoVault`}</title>
      <div className={headingHidden ? "contents" : "flex flex-wrap items-center justify-between gap-3 py-5"}>
        <h1
          ref={heading}
          tabIndex={-1}
          className={headingHidden ? "sr-only" : "text-2xl font-semibold tracking-tight outline-none"}
        >
          {title}
        </h1>
        {actions}
      </div>
      {children}
    </div>
  );
}
