/** Which markets are shown, in which order. */
import { compare } from "@/lib/decimal";
import type { Market, Price } from "@/lib/api-types";
import type { Prices } from "@/lib/queries";

export const SORTS = ["name", "price", "change", "high", "low", "volume"] as const;

export type Sort = (typeof SORTS)[number];

export interface MarketsView {
  readonly search: string;
  readonly sort: Sort;
  readonly descending: boolean;
  readonly favouritesOnly: boolean;
}

export function readView(parameters: URLSearchParams): MarketsView {
  const written = parameters.get("sort") ?? "-volume";
  const sort = SORTS.find((each) => each === written.replace(/^-/, ""));
  return {
    search: parameters.get("search") ?? "",
    sort: sort ?? "volume",
    descending: sort === undefined || written.startsWith("-"),
    favouritesOnly: parameters.get("favourites") === "1",
  };
}

export function chosenMarkets(
  markets: readonly Market[],
  prices: Prices,
  favourites: readonly string[],
  view: MarketsView,
): readonly Market[] {
  const wanted = view.search.trim().toLowerCase();
  return markets
    .filter(({ symbol }) => !view.favouritesOnly || favourites.includes(symbol))
    .filter(({ symbol, name }) => symbol.toLowerCase().includes(wanted) || name.toLowerCase().includes(wanted))
    .toSorted((left, right) => ordered(left, right, prices, view));
}

function ordered(left: Market, right: Market, prices: Prices, { sort, descending }: MarketsView): number {
  const direction = descending ? -1 : 1;
  const byName = left.symbol.localeCompare(right.symbol);
  if (sort === "name") return direction * byName;
  const [one, other] = [figure(prices[left.base_asset], sort), figure(prices[right.base_asset], sort)];
  // What has no figure comes last, in either direction.
  if (one === null || other === null) return one === other ? byName : one === null ? 1 : -1;
  return direction * compare(one, other) || byName;
}

function figure(price: Price | undefined, sort: Exclude<Sort, "name">): string | null {
  if (price === undefined) return null;
  if (sort === "price") return price.price;
  if (sort === "change") return price.change_24h;
  if (sort === "high") return price.high_24h;
  return sort === "low" ? price.low_24h : price.volume_24h;
}
