/** How amounts, shares and times are shown: in the reader's locale, from decimal strings, never through a float. */

type Numeric = `${number}`;

const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = JSON.stringify(options);
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.NumberFormat(undefined, options);
    formats.set(key, format);
  }
  return format;
}

/** ECMAScript formats a decimal string exactly; its type wants to see digits. */
function exact(format: Intl.NumberFormat, value: string): string {
  return format.format(value as Numeric);
}

export interface AmountOptions {
  /** Digits after the point that are always shown. */
  readonly minDecimals?: number;
  readonly maxDecimals?: number;
  /** A plus sign in front of gains. */
  readonly signed?: boolean;
}

const USD_DECIMALS = 2;
const COIN_DECIMALS_MAX = 8; // no asset has a finer unit

/** An amount of an asset: dollars as currency, others as a number with the asset's name behind. */
export function formatMoney(value: string, asset: string, options: AmountOptions = {}): string {
  const signs = options.signed === true ? ({ signDisplay: "exceptZero" } as const) : {};
  if (asset === "USD") {
    const minimumFractionDigits = options.minDecimals ?? USD_DECIMALS;
    const maximumFractionDigits = Math.max(minimumFractionDigits, options.maxDecimals ?? USD_DECIMALS);
    return exact(
      numberFormat({ style: "currency", currency: "USD", minimumFractionDigits, maximumFractionDigits, ...signs }),
      value,
    );
  }
  return `${formatNumber(value, options)}\u00a0${asset}`;
}

export function formatNumber(value: string, options: AmountOptions = {}): string {
  const minimumFractionDigits = options.minDecimals ?? 0;
  const maximumFractionDigits = Math.max(minimumFractionDigits, options.maxDecimals ?? COIN_DECIMALS_MAX);
  const signs = options.signed === true ? ({ signDisplay: "exceptZero" } as const) : {};
  return exact(numberFormat({ minimumFractionDigits, maximumFractionDigits, ...signs }), value);
}

/** Of 100: "1.25" is 1.25 %. */
export function formatPercent(value: string, options: { readonly signed?: boolean } = {}): string {
  const signs = options.signed === true ? ({ signDisplay: "exceptZero" } as const) : {};
  return `${exact(numberFormat({ minimumFractionDigits: 2, maximumFractionDigits: 2, ...signs }), value)}\u00a0%`;
}

/** A large amount of dollars in a few characters: $38.56B. */
export function formatCompactDollars(value: string): string {
  const options = { style: "currency", currency: "USD", notation: "compact", minimumFractionDigits: 2 } as const;
  return exact(numberFormat({ ...options, maximumFractionDigits: 2 }), value);
}

const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export function formatTime(iso: string | number): string {
  return clockTime.format(new Date(iso));
}

export function formatDateTime(iso: string): string {
  return dateAndTime.format(new Date(iso));
}
