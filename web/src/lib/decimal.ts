/**
 * Exact decimal arithmetic on strings. Money is a string everywhere else: this is the one place that counts with it.
 */
import { Big } from "big.js";

// A JavaScript number among the operands is a bug: strict mode throws where one slips in.
const Decimal = Big();
Decimal.strict = true;
Decimal.DP = 30; // of a quotient, before it is rounded to a step; the wire allows 18 decimals
Decimal.NE = -40;
Decimal.PE = 40;

export type Rounding = "down" | "up" | "half-up";

const MODES = { down: 0, "half-up": 1, up: 3 } as const;
const LOCAL_POINT = new Intl.NumberFormat().format(1.5).includes(",") ? "," : ".";
const WIRE = /^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$/;
const BASIS_POINTS = "10000";

/** What the API takes as an amount: a plain decimal string, neither sign nor exponent. */
export function isAmount(text: string): boolean {
  return WIRE.test(text);
}

/**
 * What a person typed, as the API wants it; null where it is no amount. Only the decimal point of the reader's own locale
 * is one: whoever reads $1,500 and types 1,5 may have meant either, so it is asked again and not guessed.
 */
export function parseAmount(typed: string, point: "." | "," = LOCAL_POINT): string | null {
  if (typed.includes(point === "." ? "," : ".")) return null;
  const text = typed.trim().replace(point, ".");
  const whole = text.startsWith(".") ? `0${text}` : text.replace(/\.$/, "");
  const trimmed = whole.replace(/^0+(?=\d)/, "");
  return isAmount(trimmed) ? trimmed : null;
}

/** What stands before the decimals here, as a word for people. */
export function pointName(point: "." | "," = LOCAL_POINT): string {
  return point === "." ? "a point" : "a comma";
}

/** An amount of the API as a person here would type it. */
export function asTyped(amount: string, point: "." | "," = LOCAL_POINT): string {
  return amount.replace(".", point);
}

export function add(left: string, right: string): string {
  return plain(new Decimal(left).plus(right));
}

export function subtract(left: string, right: string): string {
  return plain(new Decimal(left).minus(right));
}

export function multiply(left: string, right: string): string {
  return plain(new Decimal(left).times(right));
}

/** The quotient to 30 decimals; the divisor must not be zero. */
export function divide(left: string, right: string): string {
  return plain(new Decimal(left).div(right));
}

export function sum(values: readonly string[]): string {
  return plain(values.reduce((total, value) => total.plus(value), new Decimal("0")));
}

/** -1, 0 or 1. */
export function compare(left: string, right: string): -1 | 0 | 1 {
  return new Decimal(left).cmp(right);
}

export function isZero(value: string): boolean {
  return compare(value, "0") === 0;
}

export function isNegative(value: string): boolean {
  return compare(value, "0") < 0;
}

export function smaller(left: string, right: string): string {
  return compare(left, right) <= 0 ? left : right;
}

/** The nearest multiple of `step` in the given direction; `step` is above zero. */
export function roundToStep(value: string, step: string, rounding: Rounding): string {
  const steps = new Decimal(value).div(step).round(0, MODES[rounding]);
  return plain(steps.times(step));
}

export function isMultipleOf(value: string, step: string): boolean {
  return new Decimal(value).mod(step).eq("0");
}

/** Decimals of a step: "0.01" has two, "1" none. */
export function decimalsOf(step: string): number {
  const fraction = plain(new Decimal(step)).split(".")[1];
  return fraction?.length ?? 0;
}

/** A share of `value`: 25 basis points of "200" are "0.5". */
export function basisPointsOf(value: string, basisPoints: number): string {
  return plain(new Decimal(value).times(String(basisPoints)).div(BASIS_POINTS));
}

/** A share of `value`, in hundredths. */
export function percentOf(value: string, percent: number): string {
  return plain(new Decimal(value).times(String(percent)).div("100"));
}

/** For pixels only (charts, arcs, bars): never for a figure that a person reads. */
export function toPixels(value: string): number {
  return Number(value);
}

function plain(value: Big): string {
  return value.toFixed();
}
