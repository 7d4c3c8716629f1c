import { describe, expect, test } from "vitest";
import {
  add,
  asTyped,
  basisPointsOf,
  compare,
  decimalsOf,
  divide,
  isMultipleOf,
  multiply,
  parseAmount,
  percentOf,
  roundToStep,
  subtract,
  sum,
} from "@/lib/decimal";

test("counts exactly where floats do not", () => {
  expect(add("0.1", "0.2")).toBe("0.3");
  expect(subtract("1", "0.9")).toBe("0.1");
  expect(multiply("76870.77", "0.012986")).toBe("998.24381922");
  expect(sum(["0.1", "0.2", "-0.3"])).toBe("0");
});

test("keeps all digits of the largest and the smallest amounts", () => {
  expect(add("999999999999999999", "0.000000000000000001")).toBe("999999999999999999.000000000000000001");
  expect(multiply("0.000000000000000001", "1")).toBe("0.000000000000000001");
});

test("refuses a JavaScript number that slips in", () => {
  expect(() => add(0.1 as unknown as string, "0.2")).toThrow();
});

test("compares by value, not by text", () => {
  expect(compare("9", "10")).toBe(-1);
  expect(compare("1.10", "1.1")).toBe(0);
});

describe("rounding to a step", () => {
  test.each([
    ["0.0129869", "0.000001", "down", "0.012986"],
    ["0.0129861", "0.000001", "up", "0.012987"],
    ["76870.775", "0.01", "half-up", "76870.78"],
    ["7", "5", "down", "5"],
    ["0.3", "0.1", "down", "0.3"],
  ] as const)("%s by %s, %s, is %s", (value, step, rounding, expected) => {
    expect(roundToStep(value, step, rounding)).toBe(expected);
  });
});

test("knows whether a value lies on a step", () => {
  expect(isMultipleOf("0.3", "0.1")).toBe(true);
  expect(isMultipleOf("0.35", "0.1")).toBe(false);
});

test("shares", () => {
  expect(basisPointsOf("1000", 20)).toBe("2");
  expect(percentOf("10000", 25)).toBe("2500");
  expect(divide("1", "8")).toBe("0.125");
  expect(decimalsOf("0.0001")).toBe(4);
  expect(decimalsOf("1")).toBe(0);
});

describe("what a person types", () => {
  test.each([
    ["1", "1"],
    [" 0.25 ", "0.25"],
    [".5", "0.5"],
    ["5.", "5"],
    ["007", "7"],
    ["0", "0"],
  ])("%j is %s", (typed, expected) => {
    expect(parseAmount(typed)).toBe(expected);
  });

  test.each([
    ["1,5", ",", "1.5"],
    [",5", ",", "0.5"],
    ["5,", ",", "5"],
    ["1,125", ",", "1.125"],
    ["1.125", ".", "1.125"],
  ] as const)("%j where %j stands before the decimals is %s", (typed, point, expected) => {
    expect(parseAmount(typed, point)).toBe(expected);
  });

  test.each([
    ["1,5", "."],
    ["0,125", "."],
    ["1,000", "."],
    ["5,", "."],
    ["1,000.5", "."],
    ["1.5", ","],
    ["0.125", ","],
    ["1.000", ","],
    ["1.000,5", ","],
    ["1,5,5", ","],
  ] as const)("%j is refused where %j stands before the decimals: nobody guesses", (typed, point) => {
    expect(parseAmount(typed, point)).toBeNull();
  });

  test("an amount that we fill in is read as what it is", () => {
    expect(asTyped("1.125", ",")).toBe("1,125");
    expect(parseAmount(asTyped("1.125", ","), ",")).toBe("1.125");
    expect(asTyped("1.125", ".")).toBe("1.125");
  });

  test.each(["", "-1", "+1", "1e3", "1,000.5", "1_000", "٣", "NaN", "0x10", "1.2.3", "1\n2", "1".repeat(19)])(
    "%j is no amount",
    (typed) => {
      expect(parseAmount(typed)).toBeNull();
    },
  );
});
