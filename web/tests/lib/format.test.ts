import { expect, test } from "vitest";
import { formatCompactDollars, formatMoney, formatNumber, formatPercent } from "@/lib/format";

test("shows dollars as currency and coins with their name", () => {
  expect(formatMoney("1234.5", "USD")).toBe("$1,234.50");
  expect(formatMoney("0.012986", "BTC")).toBe("0.012986\u00a0BTC");
});

test("shows every digit of an amount that a float could not hold", () => {
  expect(formatNumber("123456789012345678.12345678")).toBe("123,456,789,012,345,678.12345678");
});

test("signs gains and losses, but not zero", () => {
  expect(formatMoney("4.7", "USD", { signed: true })).toBe("+$4.70");
  expect(formatMoney("-4.7", "USD", { signed: true })).toBe("-$4.70");
  expect(formatMoney("0", "USD", { signed: true })).toBe("$0.00");
});

test("percentages and large amounts", () => {
  expect(formatPercent("-2.3", { signed: true })).toBe("-2.30\u00a0%");
  expect(formatCompactDollars("38560000000")).toBe("$38.56B");
});
