import { describe, expect, test } from "vitest";
import { amountForShare, assess, type Draft, type Surroundings } from "@/features/trading/ticket/ticket-math";
import { changed } from "@/features/trading/ticket/use-draft";
import { BOOK, MARKET } from "./market";

const around: Surroundings = { market: MARKET, book: BOOK, livePrice: "100", available: "1000" };

function draft(changes: Partial<Draft>): Draft {
  return { side: "buy", kind: "market", unit: "quote", amount: "", price: "", ...changes };
}

describe("a market buy", () => {
  test("counted in dollars holds its fee inside", () => {
    const { estimate, problems } = assess(draft({ amount: "100.2" }), around);
    expect(problems).toEqual({});
    // 100.2 = 100 + 20 basis points of it; the first level sells 2 at 101.
    expect(estimate).toMatchObject({ price: "101", quantity: "0.99", total: "100.2" });
    expect(estimate?.fee).toBe("0.2");
  });

  test("that eats through the first level costs more on average", () => {
    const { estimate } = assess(draft({ unit: "base", amount: "4" }), around);
    // 2 at 101 and 2 at 103.
    expect(estimate).toMatchObject({ price: "102", quantity: "4", fee: "0.816", total: "408.816" });
  });

  test("without a book is counted at the live price", () => {
    const { estimate } = assess(draft({ unit: "base", amount: "1" }), { ...around, book: undefined });
    expect(estimate?.price).toBe("100");
  });

  test("without any price has no estimate", () => {
    const nothing = { ...around, book: undefined, livePrice: undefined };
    expect(assess(draft({ amount: "10" }), nothing)).toEqual({ estimate: null, problems: {}, shortage: null });
  });
});

describe("a limit order", () => {
  test("below the market pays the maker's fee", () => {
    const { estimate } = assess(draft({ kind: "limit", unit: "base", amount: "2", price: "90" }), around);
    expect(estimate).toMatchObject({ feeBasisPoints: 10, fee: "0.18", total: "180.18" });
  });

  test("that crosses the market pays the taker's", () => {
    const { estimate } = assess(draft({ kind: "limit", unit: "base", amount: "2", price: "101" }), around);
    expect(estimate?.feeBasisPoints).toBe(20);
  });

  test("to sell brings its worth less the fee", () => {
    const selling = { ...around, available: "5" };
    const { estimate } = assess(
      draft({ side: "sell", kind: "limit", unit: "base", amount: "2", price: "110" }),
      selling,
    );
    expect(estimate?.total).toBe("219.78");
  });
});

describe("what is refused before it is sent", () => {
  test.each([
    [{ amount: "" }, { amount: "Enter an amount." }],
    [
      { amount: "0" },
      {
        amount:
          "Enter an amount above zero, such as 0.25, with a point before the decimals and no marks for thousands.",
      },
    ],
    [
      { amount: "1,5" },
      {
        amount:
          "Enter an amount above zero, such as 0.25, with a point before the decimals and no marks for thousands.",
      },
    ],
    [
      { amount: "ten" },
      {
        amount:
          "Enter an amount above zero, such as 0.25, with a point before the decimals and no marks for thousands.",
      },
    ],
    [{ amount: "0.5" }, { amount: "The smallest order is worth $1.00." }],
    [{ amount: "1000.01" }, { amount: "Not enough: you have $1,000.00 available." }],
    [{ unit: "base", amount: "0.00015" }, { amount: "The amount moves in steps of 0.0001." }],
    [{ unit: "base", amount: "51" }, { amount: "The largest order is 50\u00a0BTC." }],
    [{ kind: "limit", unit: "base", amount: "1", price: "" }, { price: "Enter a price." }],
    [{ kind: "limit", unit: "base", amount: "1", price: "90.005" }, { price: "The price moves in steps of 0.01." }],
  ] as const)("%j", (changes, problems) => {
    expect(assess(draft(changes), { ...around, available: "1000" }).problems).toEqual(problems);
  });

  test("more coins than there are", () => {
    const selling = { ...around, available: "0.5" };
    const { problems } = assess(draft({ side: "sell", unit: "base", amount: "0.6" }), selling);
    expect(problems.amount).toBe("Not enough: you have 0.5\u00a0BTC available.");
  });

  test("what there is not enough for is said beside what else is wrong", () => {
    const { problems, shortage } = assess(draft({ unit: "base", amount: "51" }), around);
    expect(problems.amount).toBe("The largest order is 50\u00a0BTC.");
    expect(shortage).toBe("Not enough: you have $1,000.00 available.");
    expect(assess(draft({ amount: "1000" }), around).shortage).toBeNull();
  });

  test("a balance that is not known yet refuses nothing", () => {
    expect(assess(draft({ amount: "5000" }), { ...around, available: undefined }).problems).toEqual({});
  });
});

describe("a share of what is available", () => {
  test("is never more than can be paid, fee included", () => {
    const all = amountForShare(draft({ kind: "limit", unit: "base", price: "99.99" }), 100, around);
    expect(all).toBe("9.981");
    const { problems } = assess(draft({ kind: "limit", unit: "base", price: "99.99", amount: all ?? "" }), around);
    expect(problems).toEqual({});
  });

  test("of dollars is cut to cents, of coins to lots", () => {
    expect(amountForShare(draft({}), 25, { ...around, available: "999.99" })).toBe("249.99");
    const selling = draft({ side: "sell", unit: "base" });
    expect(amountForShare(selling, 50, { ...around, available: "0.00031" })).toBe("0.0001");
  });

  test("cannot be said before the balance is known", () => {
    expect(amountForShare(draft({}), 25, { ...around, available: undefined })).toBeNull();
  });
});

test("an amount does not survive a change of what it is counted in", () => {
  const typed = draft({ amount: "100" });
  expect(changed(typed, { side: "sell" })).toMatchObject({ unit: "base", amount: "" });
  expect(changed(typed, { kind: "limit" })).toMatchObject({ unit: "base", amount: "" });
  expect(changed(typed, { price: "5" })).toMatchObject({ unit: "quote", amount: "100" });
});
