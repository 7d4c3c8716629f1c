import { Button } from "@/components/ui/Button";
import { Choice } from "@/components/ui/Choice";
import { Field } from "@/components/ui/Field";
import { amountForShare, type Draft, type Surroundings } from "@/features/trading/ticket/ticket-math";
import { asTyped } from "@/lib/decimal";
import type { DraftChange } from "@/features/trading/ticket/use-draft";

const SHARES = [25, 50, 75, 100] as const;

interface AmountFieldProps {
  readonly draft: Draft;
  readonly around: Surroundings;
  readonly error: string | undefined;
  readonly onChange: (change: DraftChange) => void;
}

/** How much: typed, or as a share of what there is. */
export function AmountField({ draft, around, error, onChange }: AmountFieldProps) {
  const { market } = around;
  const units = [
    { value: "quote", label: market.quote_asset },
    { value: "base", label: market.base_asset },
  ] as const;
  return (
    <div className="space-y-2">
      {draft.kind === "market" && draft.side === "buy" && (
        <Choice
          small
          label="Amount counted in"
          value={draft.unit}
          options={units}
          onChange={(unit) => onChange({ unit })}
        />
      )}
      <Field
        label={draft.unit === "quote" ? "Amount to spend" : "Amount"}
        name="amount"
        inputMode="decimal"
        autoComplete="off"
        placeholder="0"
        value={draft.amount}
        onChange={(event) => onChange({ amount: event.target.value })}
        suffix={draft.unit === "quote" ? market.quote_asset : market.base_asset}
        error={error}
      />
      <div role="group" aria-label="Share of what is available" className="grid grid-cols-4 gap-2">
        {SHARES.map((percent) => {
          const amount = amountForShare(draft, percent, around);
          return (
            <Button
              key={percent}
              size="small"
              disabled={amount === null}
              onClick={() => amount !== null && onChange({ amount: asTyped(amount) })}
            >
              {percent} %
            </Button>
          );
        })}
      </div>
    </div>
  );
}
