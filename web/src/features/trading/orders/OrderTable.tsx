import type { ReactNode } from "react";
import { Link } from "react-router";
import { Money } from "@/components/Money";
import { classNames } from "@/components/ui/class-names";
import { WideTable } from "@/components/ui/WideTable";
import type { Order } from "@/lib/api-types";
import { formatDateTime, formatNumber } from "@/lib/format";

const STATUS: Readonly<Record<string, string>> = {
  new: "Waiting",
  open: "Open",
  partially_filled: "Partly filled",
  filled: "Filled",
  cancelled: "Cancelled",
  expired: "Expired",
  rejected: "Refused",
};
const PRICE_DECIMALS_MAX = 8;

interface OrderTableProps {
  readonly orders: readonly Order[];
  readonly action?: (order: Order) => ReactNode;
}

export function OrderTable({ orders, action }: OrderTableProps) {
  return (
    <WideTable label="Orders">
      <thead className="text-left text-xs text-muted">
        <tr className="h-9 border-b border-line">
          <Head>Time</Head>
          <Head>Market</Head>
          <Head>Order</Head>
          <Head right>Price</Head>
          <Head right>Amount</Head>
          <Head right>Filled</Head>
          <Head>Status</Head>
          {action !== undefined && (
            <Head right>
              <span className="sr-only">Action</span>
            </Head>
          )}
        </tr>
      </thead>
      <tbody>
        {orders.map((order) => (
          <Row key={order.id} order={order} action={action?.(order)} />
        ))}
      </tbody>
    </WideTable>
  );
}

function Head({ right = false, children }: { readonly right?: boolean; readonly children: ReactNode }) {
  return (
    <th scope="col" className={classNames("px-4 font-medium whitespace-nowrap", right && "text-right")}>
      {children}
    </th>
  );
}

function Row({ order, action }: { readonly order: Order; readonly action: ReactNode }) {
  const [base = "", quote = ""] = order.market.split("-");
  const price = order.average_price ?? order.price;
  return (
    <tr className="h-11 border-b border-line whitespace-nowrap last:border-0">
      <td className="px-4 text-muted">
        <time dateTime={order.created_at}>{formatDateTime(order.created_at)}</time>
      </td>
      <th scope="row" className="px-4 text-left font-medium">
        <Link to={`/trade/${order.market}`} className="rounded-sm hover:underline">
          {order.market}
        </Link>
      </th>
      <td className={classNames("px-4 font-medium", order.side === "buy" ? "text-up" : "text-down")}>
        {order.side === "buy" ? "Buy" : "Sell"} · {inWords(order.type)}
      </td>
      <td className="px-4 text-right">
        {price === null ? (
          "Market"
        ) : (
          <Money value={price} asset={quote} maxDecimals={PRICE_DECIMALS_MAX} personal={false} />
        )}
        {order.stop_price !== null && (
          <span className="block text-xs text-muted">
            stop <Money value={order.stop_price} asset={quote} maxDecimals={PRICE_DECIMALS_MAX} personal={false} />
          </span>
        )}
      </td>
      <td className="px-4 text-right">
        {order.quantity === null ? (
          <Money value={order.quote_quantity ?? "0"} asset={quote} />
        ) : (
          <Money value={order.quantity} asset={base} />
        )}
      </td>
      <td className="px-4 text-right">{formatNumber(order.filled_quantity)}</td>
      <td className="px-4">{STATUS[order.status] ?? inWords(order.status)}</td>
      {action !== undefined && <td className="px-4 text-right">{action}</td>}
    </tr>
  );
}

function inWords(name: string): string {
  return name.replaceAll("_", " ");
}
