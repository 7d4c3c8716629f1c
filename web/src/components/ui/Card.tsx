import type { ComponentProps, ReactNode } from "react";
import { classNames } from "@/components/ui/class-names";

interface CardProps extends Omit<ComponentProps<"section">, "title"> {
  readonly title?: ReactNode;
  readonly actions?: ReactNode;
  /** No inner margin: a table or a chart reaches to the edge. */
  readonly flush?: boolean;
}

export function Card({ title, actions, flush = false, className, children, ...rest }: CardProps) {
  return (
    <section
      className={classNames("flex min-w-0 flex-col rounded-xl border border-line bg-surface", className)}
      {...rest}
    >
      {title !== undefined && (
        <header className="flex min-h-12 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-2">
          <h2 className="text-sm font-semibold">{title}</h2>
          {actions}
        </header>
      )}
      <div className={classNames("flex grow flex-col", !flush && "p-4")}>{children}</div>
    </section>
  );
}
