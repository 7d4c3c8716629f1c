import { classNames } from "@/components/ui/class-names";
import { isNegative, isZero } from "@/lib/decimal";
import { formatMoney, type AmountOptions } from "@/lib/format";
import { useUiSettings } from "@/lib/ui-settings";

const HIDDEN = "••••••";

interface MoneyProps extends AmountOptions {
  readonly value: string;
  readonly asset: string;
  /** Green above zero, red below; the sign says the same without colour. */
  readonly coloured?: boolean;
  /** Somebody's own amount, hidden in privacy mode; a public price is not. */
  readonly personal?: boolean;
  readonly className?: string;
}

/** The one way an amount is shown. */
export function Money({ value, asset, coloured = false, personal = true, className, ...options }: MoneyProps) {
  const hidden = useUiSettings((settings) => settings.amountsHidden) && personal;
  const tone = coloured && !hidden && !isZero(value) ? (isNegative(value) ? "text-down" : "text-up") : "";
  if (hidden) {
    return (
      <span className={className}>
        <span aria-hidden="true">{HIDDEN}</span>
        <span className="sr-only">hidden</span>
      </span>
    );
  }
  return (
    <span className={classNames("figures whitespace-nowrap", tone, className)}>
      {formatMoney(value, asset, { signed: coloured, ...options })}
    </span>
  );
}
