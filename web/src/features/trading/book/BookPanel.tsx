import { useQuery } from "@tanstack/react-query";
import { DataView } from "@/components/DataView";
import { Card } from "@/components/ui/Card";
import { classNames } from "@/components/ui/class-names";
import { EmptyNotice } from "@/components/ui/Notice";
import { SkeletonRows } from "@/components/ui/Skeleton";
import { bookQuery } from "@/features/trading/book/api";
import type { Book, Market } from "@/lib/api-types";
import { compare, decimalsOf, divide, percentOf, subtract, sum, toPixels } from "@/lib/decimal";
import { formatNumber, formatPercent } from "@/lib/format";

const LEVELS_SHOWN = 8;

type Level = Book["bids"][number];

export function BookPanel({ market }: { readonly market: Market }) {
  const book = useQuery(bookQuery(market.symbol));
  return (
    <Card title="Order book" flush>
      <DataView
        query={book}
        skeleton={<SkeletonRows rows={2 * LEVELS_SHOWN + 3} rowClassName="h-6" />}
        isEmpty={({ bids, asks }) => bids.length === 0 && asks.length === 0}
        empty={<EmptyNotice title="Nobody offers anything at the moment." />}
      >
        {(data) => <Levels market={market} book={data} />}
      </DataView>
    </Card>
  );
}

function Levels({ market, book }: { readonly market: Market; readonly book: Book }) {
  const asks = book.asks.slice(0, LEVELS_SHOWN);
  const bids = book.bids.slice(0, LEVELS_SHOWN);
  const largest = [...asks, ...bids].map(([, quantity]) => quantity).reduce(larger, "0");
  return (
    <table className="w-full text-xs">
      <thead className="text-muted">
        <tr className="h-8">
          <th scope="col" className="px-4 text-left font-medium">
            Price ({market.quote_asset})
          </th>
          <th scope="col" className="px-4 text-right font-medium">
            Amount ({market.base_asset})
          </th>
        </tr>
      </thead>
      <tbody aria-label="Offers to sell">
        {asks.toReversed().map((level) => (
          <Row key={level[0]} level={level} side="ask" market={market} largest={largest} />
        ))}
      </tbody>
      <tbody>
        <tr className="h-9 border-y border-line text-muted">
          <th scope="row" className="px-4 text-left font-medium">
            Spread
          </th>
          <td className="px-4 text-right">{spreadOf(book)}</td>
        </tr>
      </tbody>
      <tbody aria-label="Offers to buy">
        {bids.map((level) => (
          <Row key={level[0]} level={level} side="bid" market={market} largest={largest} />
        ))}
      </tbody>
    </table>
  );
}

interface RowProps {
  readonly level: Level;
  readonly side: "ask" | "bid";
  readonly market: Market;
  readonly largest: string;
}

function Row({ level: [price, quantity], side, market, largest }: RowProps) {
  const priceDecimals = decimalsOf(market.tick);
  const lotDecimals = decimalsOf(market.lot);
  const share = (toPixels(quantity) / (toPixels(largest) || 1)) * 100;
  return (
    <tr className="h-6">
      <td className={classNames("px-4", side === "ask" ? "text-down" : "text-up")}>
        {formatNumber(price, { minDecimals: priceDecimals, maxDecimals: priceDecimals })}
      </td>
      <td className="relative px-4 text-right">
        <span
          aria-hidden="true"
          className={classNames("absolute inset-y-0.5 right-0 opacity-15", side === "ask" ? "bg-down" : "bg-up")}
          style={{ width: `${share.toFixed(1)}%` }}
        />
        <span className="relative">
          {formatNumber(quantity, { minDecimals: lotDecimals, maxDecimals: lotDecimals })}
        </span>
      </td>
    </tr>
  );
}

function larger(left: string, right: string): string {
  return compare(left, right) >= 0 ? left : right;
}

function spreadOf({ bids, asks }: Book): string {
  const [bid, ask] = [bids[0]?.[0], asks[0]?.[0]];
  if (bid === undefined || ask === undefined) return "n/a";
  const middle = percentOf(sum([bid, ask]), 50);
  return formatPercent(percentOf(divide(subtract(ask, bid), middle), 10_000));
}
