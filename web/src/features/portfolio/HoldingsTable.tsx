import { Link } from "react-router";
import { Money } from "@/components/Money";
import { classNames } from "@/components/ui/class-names";
import { WideTable } from "@/components/ui/WideTable";
import type { Holding } from "@/lib/api-types";
import { decimalsOf, isZero } from "@/lib/decimal";
import { formatPercent } from "@/lib/format";

const PRICE_DECIMALS_MAX = 8;
const USD = "USD";

const HEADS = [
  { name: "Asset", className: "text-left" },
  { name: "Amount", className: "text-right" },
  { name: "Price", className: "text-right" },
  { name: "Value", className: "text-right" },
  { name: "Share", className: "text-right" },
  { name: "Average cost", className: "text-right" },
  { name: "Unrealised P&L", className: "text-right" },
];

export function HoldingsTable({ holdings }: { readonly holdings: readonly Holding[] }) {
  return (
    <WideTable label="Holdings">
      <thead className="text-xs text-muted">
        <tr className="h-10 border-b border-line">
          {HEADS.map(({ name, className }) => (
            <th key={name} scope="col" className={classNames("px-4 font-medium whitespace-nowrap", className)}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {holdings.map((holding) => (
          <Row key={holding.symbol} holding={holding} />
        ))}
      </tbody>
    </WideTable>
  );
}

function Row({ holding }: { readonly holding: Holding }) {
  const { symbol, name, amount, held, price, value, allocation, average_cost, unrealized_pnl } = holding;
  return (
    <tr className="h-14 border-b border-line last:border-0">
      <th scope="row" className="px-4 text-left font-normal">
        {symbol === USD ? (
          <span className="font-semibold">{symbol}</span>
        ) : (
          <Link to={`/trade/${symbol}-${USD}`} className="rounded-sm font-semibold hover:underline">
            {symbol}
          </Link>
        )}
        <span className="block text-xs text-muted">{name}</span>
      </th>
      <td className="px-4 text-right">
        <Money value={amount} asset={symbol} />
        {!isZero(held) && (
          <span className="block text-xs text-muted">
            <Money value={held} asset={symbol} /> in orders
          </span>
        )}
      </td>
      <Amount value={price} asset={USD} decimals={PRICE_DECIMALS_MAX} personal={false} />
      <Amount value={value} asset={USD} />
      <td className="px-4 text-right">{allocation === null ? NOTHING : formatPercent(allocation)}</td>
      <Amount value={average_cost} asset={USD} decimals={decimalsOf(price ?? "0.01")} />
      <Amount value={unrealized_pnl} asset={USD} coloured />
    </tr>
  );
}

interface AmountProps {
  readonly value: string | null;
  readonly asset: string;
  readonly decimals?: number;
  readonly coloured?: boolean;
  readonly personal?: boolean;
}

function Amount({ value, asset, decimals, coloured = false, personal = true }: AmountProps) {
  return (
    <td className="px-4 text-right">
      {value === null ? (
        NOTHING
      ) : (
        <Money
          value={value}
          asset={asset}
          coloured={coloured}
          personal={personal}
          {...(decimals === undefined ? {} : { maxDecimals: decimals })}
        />
      )}
    </td>
  );
}

const NOTHING = <span className="text-muted">–</span>;
