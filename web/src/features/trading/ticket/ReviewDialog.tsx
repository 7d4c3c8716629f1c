import { PriceText } from "@/components/PriceText";
import { Button } from "@/components/ui/Button";
import { Dialog } from "@/components/ui/Dialog";
import type { NewOrder } from "@/features/trading/ticket/api";
import { EstimateLines, Line } from "@/features/trading/ticket/Summary";
import type { Estimate } from "@/features/trading/ticket/ticket-math";
import type { Market } from "@/lib/api-types";

const BUTTON_TEXT = { asking: "Place order", sending: "Placing…", checking: "Checking…" } as const;

interface ReviewDialogProps {
  readonly order: NewOrder;
  readonly market: Market;
  readonly estimate: Estimate | null;
  readonly state: keyof typeof BUTTON_TEXT;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
}

/** The last look before an order goes out. */
export function ReviewDialog({ order, market, estimate, state, onConfirm, onClose }: ReviewDialogProps) {
  const verb = order.side === "buy" ? "Buy" : "Sell";
  const isLimit = order.type === "limit";
  return (
    <Dialog title={`${verb} ${market.base_asset}?`} onClose={onClose}>
      <dl className="space-y-1.5 text-sm">
        <Line name="Order">{isLimit ? "Limit, until cancelled" : "Market, at once"}</Line>
        {isLimit ? (
          <Line name="Price">
            <PriceText market={market} price={order.price ?? undefined} />
          </Line>
        ) : (
          <Line name="Price, about">
            <PriceText market={market} price={estimate?.price} />
          </Line>
        )}
        <EstimateLines side={order.side} exact={isLimit} market={market} estimate={estimate} />
      </dl>
      <p aria-live="polite" className="mt-4 min-h-5 text-sm text-muted">
        {state === "checking" && "The answer was lost on its way. We are asking whether the order was taken."}
      </p>
      <div className="mt-2 flex justify-end gap-3">
        <Button onClick={onClose} disabled={state !== "asking"}>
          Back
        </Button>
        <Button data-focus-first tone={order.side} onClick={onConfirm} disabled={state !== "asking"}>
          {BUTTON_TEXT[state]}
        </Button>
      </div>
    </Dialog>
  );
}
