import { expect, test } from "vitest";
import { sharesOf } from "@/features/portfolio/shares";
import type { Holding } from "@/lib/api-types";

function holding(symbol: string, allocation: string | null): Holding {
  return {
    symbol,
    name: symbol,
    amount: "1",
    available: "1",
    held: "0",
    price: null,
    value: null,
    allocation,
    average_cost: null,
    unrealized_pnl: null,
  };
}

test("the largest share comes first; what has none is left out", () => {
  const shares = sharesOf([holding("BTC", "20"), holding("USD", "80"), holding("NEW", null), holding("OLD", "0.00")]);
  expect(shares.map(({ name, percent }) => `${name} ${percent}`)).toEqual(["USD 80", "BTC 20"]);
});

test("many small shares are gathered, and nothing is lost", () => {
  const shares = sharesOf(
    Array.from({ length: 9 }, (_, index) => holding(`C${index}`, index === 0 ? "92.00" : "1.00")),
  );
  expect(shares).toHaveLength(6);
  expect(shares.at(-1)).toMatchObject({ name: "4 others", percent: "4" });
});
