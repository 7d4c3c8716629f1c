import type { ComponentProps } from "react";
import { Link } from "react-router";
import { classNames } from "@/components/ui/class-names";

export type Tone = "primary" | "secondary" | "quiet" | "buy" | "sell";
export type Size = "small" | "normal" | "large";

const TONES: Record<Tone, string> = {
  primary: "bg-accent-fill text-on-fill hover:bg-accent-fill-strong",
  secondary: "border border-control-line bg-surface text-text hover:bg-raised",
  quiet: "text-text hover:bg-raised",
  buy: "bg-up-fill text-on-fill hover:brightness-90",
  sell: "bg-down-fill text-on-fill hover:brightness-90",
};

const SIZES: Record<Size, string> = {
  small: "min-h-8 px-2 text-sm",
  normal: "min-h-10 px-4 text-sm",
  large: "min-h-12 px-6 text-base",
};

function look(tone: Tone, size: Size, className?: string): string {
  return classNames(
    "inline-flex items-center justify-center gap-2 rounded-lg font-semibold whitespace-nowrap transition-colors select-none",
    "disabled:cursor-not-allowed disabled:opacity-60 aria-disabled:cursor-not-allowed aria-disabled:opacity-60",
    TONES[tone],
    SIZES[size],
    className,
  );
}

interface Looks {
  readonly tone?: Tone;
  readonly size?: Size;
}

export function Button({
  tone = "secondary",
  size = "normal",
  className,
  type = "button",
  ...rest
}: ComponentProps<"button"> & Looks) {
  // oxlint-disable-next-line react/button-has-type -- it has one: `type` is never undefined
  return <button type={type} className={look(tone, size, className)} {...rest} />;
}

export function ButtonLink({
  tone = "secondary",
  size = "normal",
  className,
  ...rest
}: ComponentProps<typeof Link> & Looks) {
  return <Link className={look(tone, size, className)} {...rest} />;
}
