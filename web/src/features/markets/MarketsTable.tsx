import { memo } from "react";
import { Link } from "react-router";
import { Change } from "@/components/Change";
import { PriceText } from "@/components/PriceText";
import { Sparkline } from "@/components/Sparkline";
import { classNames } from "@/components/ui/class-names";
import { WideTable } from "@/components/ui/WideTable";
import { StarIcon } from "@/features/markets/StarIcon";
import type { MarketsView, Sort } from "@/features/markets/view";
import type { Market } from "@/lib/api-types";
import { formatCompactDollars } from "@/lib/format";
import { usePrice } from "@/lib/queries";
import { useUiSettings } from "@/lib/ui-settings";
import { usePricePoints } from "@/lib/use-price-points";

interface Column {
  readonly sort: Sort;
  readonly name: string;
  readonly className: string;
}

const COLUMNS: readonly Column[] = [
  { sort: "name", name: "Market", className: "text-left" },
  { sort: "price", name: "Price", className: "text-right" },
  { sort: "change", name: "24 h", className: "text-right" },
  { sort: "high", name: "24 h high", className: "text-right max-lg:hidden" },
  { sort: "low", name: "24 h low", className: "text-right max-lg:hidden" },
  { sort: "volume", name: "24 h volume", className: "text-right max-md:hidden" },
];

interface MarketsTableProps {
  readonly markets: readonly Market[];
  readonly view: MarketsView;
  readonly onChange: (news: Partial<MarketsView>) => void;
}

export function MarketsTable({ markets, view, onChange }: MarketsTableProps) {
  return (
    <WideTable label="Markets">
      <thead className="text-xs text-muted">
        <tr className="border-b border-line">
          <th scope="col" className="w-10">
            <span className="sr-only">Favourite</span>
          </th>
          {COLUMNS.map((column) => (
            <SortHeader key={column.sort} column={column} view={view} onChange={onChange} />
          ))}
          <th scope="col" className="px-3 text-right font-medium max-md:hidden">
            Last minute
          </th>
        </tr>
      </thead>
      <tbody>
        {markets.map((market) => (
          <MarketRow key={market.symbol} market={market} />
        ))}
      </tbody>
    </WideTable>
  );
}

interface SortHeaderProps extends Pick<MarketsTableProps, "view" | "onChange"> {
  readonly column: Column;
}

function SortHeader({ column, view, onChange }: SortHeaderProps) {
  const chosen = view.sort === column.sort;
  const arrow = chosen ? (view.descending ? "▼" : "▲") : "";
  return (
    <th
      scope="col"
      aria-sort={chosen ? (view.descending ? "descending" : "ascending") : "none"}
      className={classNames("px-2 font-medium sm:px-4", column.className)}
    >
      <button
        type="button"
        className={classNames(
          "-mx-1 inline-flex min-h-10 items-center gap-1 rounded-md px-1 hover:text-text",
          // The arrow stands on the side where the figures have room.
          column.sort !== "name" && "flex-row-reverse",
        )}
        onClick={() => onChange({ sort: column.sort, descending: chosen ? !view.descending : column.sort !== "name" })}
      >
        {column.name}
        <span aria-hidden="true" className="text-[0.7em]">
          {arrow}
        </span>
      </button>
    </th>
  );
}

const MarketRow = memo(function MarketRow({ market }: { readonly market: Market }) {
  const price = usePrice(market.base_asset);
  const points = usePricePoints(market.base_asset);
  return (
    <tr className="h-14 border-b border-line last:border-0 hover:bg-raised">
      <td className="pl-2">
        <FavouriteButton market={market} />
      </td>
      <th scope="row" className="px-2 text-left font-normal sm:px-4">
        <Link to={`/trade/${market.symbol}`} className="block rounded-md">
          <span className="font-semibold">{market.base_asset}</span>
          <span className="text-muted">/{market.quote_asset}</span>
          <span className="block truncate text-xs text-muted">{market.name}</span>
        </Link>
      </th>
      <td className="px-2 text-right font-medium sm:px-4">
        <PriceText market={market} price={price?.price} />
      </td>
      <td className="px-2 text-right sm:px-4">
        <Change percent={price?.change_24h ?? null} />
      </td>
      <td className="px-4 text-right max-lg:hidden">
        <PriceText market={market} price={price?.high_24h ?? undefined} />
      </td>
      <td className="px-4 text-right max-lg:hidden">
        <PriceText market={market} price={price?.low_24h ?? undefined} />
      </td>
      <td className="px-4 text-right max-md:hidden">
        {price?.volume_24h ? formatCompactDollars(price.volume_24h) : "…"}
      </td>
      <td className="px-3 max-md:hidden">
        <span className="flex justify-end">
          <Sparkline points={points} />
        </span>
      </td>
    </tr>
  );
});

function FavouriteButton({ market }: { readonly market: Market }) {
  const favourite = useUiSettings((settings) => settings.favourites.includes(market.symbol));
  const toggle = useUiSettings((settings) => settings.toggleFavourite);
  return (
    <button
      type="button"
      aria-pressed={favourite}
      aria-label={`${market.name} is a favourite`}
      className={classNames(
        "grid size-9 place-items-center rounded-md",
        favourite ? "text-warn" : "text-muted hover:text-text",
      )}
      onClick={() => toggle(market.symbol)}
    >
      <StarIcon filled={favourite} />
    </button>
  );
}
