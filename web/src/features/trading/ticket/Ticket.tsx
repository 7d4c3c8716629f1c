import { useQuery } from "@tanstack/react-query";
import { useId, useRef, useState, type FormEvent } from "react";
import { useLocation } from "react-router";
import { Button, ButtonLink } from "@/components/ui/Button";
import { Choice } from "@/components/ui/Choice";
import { Field } from "@/components/ui/Field";
import { FormError } from "@/components/ui/Notice";
import { bookQuery } from "@/features/trading/book/api";
import { orderOf, usePlaceOrder, type NewOrder } from "@/features/trading/ticket/api";
import { AmountField } from "@/features/trading/ticket/AmountField";
import { ReviewDialog } from "@/features/trading/ticket/ReviewDialog";
import { Summary } from "@/features/trading/ticket/Summary";
import { assess, spentAsset, type Problems, type Surroundings } from "@/features/trading/ticket/ticket-math";
import { useDraft, type DraftChange } from "@/features/trading/ticket/use-draft";
import type { Market } from "@/lib/api-types";
import { asTyped } from "@/lib/decimal";
import { balancesQuery, useMe, usePrice } from "@/lib/queries";

const SIDES = [
  { value: "buy", label: "Buy", chosenClassName: "bg-up-fill text-on-fill!" },
  { value: "sell", label: "Sell", chosenClassName: "bg-down-fill text-on-fill!" },
] as const;
const KINDS = [
  { value: "market", label: "Market" },
  { value: "limit", label: "Limit" },
] as const;

/** Where an order is made. */
export function Ticket({ market }: { readonly market: Market }) {
  const me = useMe();
  const signedIn = Boolean(me.data);
  const headingId = useId();
  const form = useRef<HTMLFormElement>(null);
  const [draft, changeDraft] = useDraft();
  const [shown, setShown] = useState<Problems>({});
  const [review, setReview] = useState<NewOrder | null>(null);
  const balances = useQuery({ ...balancesQuery, enabled: signedIn });
  const livePrice = usePrice(market.base_asset)?.price;
  const book = useQuery(bookQuery(market.symbol)).data;
  const place = usePlaceOrder(market);

  const asset = spentAsset(draft, market);
  const balance = balances.data?.find((each) => each.asset === asset);
  const available = balances.data === undefined ? undefined : (balance?.available ?? "0");
  const around: Surroundings = { market, book, livePrice, available };
  const { estimate, problems, shortage } = assess(draft, around);

  const change = (news: DraftChange) => {
    setShown({});
    place.reset();
    changeDraft(news);
  };

  const submit = (event: FormEvent) => {
    event.preventDefault();
    setShown(problems);
    if (problems.amount === undefined && problems.price === undefined) {
      setReview(orderOf(draft, market, crypto.randomUUID()));
    } else {
      // The first field that is wrong is where to go on.
      form.current
        ?.querySelector<HTMLInputElement>(`input[name=${problems.price === undefined ? "amount" : "price"}]`)
        ?.focus();
    }
  };

  const confirm = (order: NewOrder) =>
    place.mutate(order, {
      onSuccess: () => changeDraft({ amount: "" }),
      onSettled: () => setReview(null),
    });

  return (
    <section aria-labelledby={headingId} className="rounded-xl border border-line bg-surface p-4">
      <h2 id={headingId} className="sr-only">
        New order
      </h2>
      <form ref={form} noValidate className="space-y-4" onSubmit={submit}>
        <Choice label="Side" value={draft.side} options={SIDES} onChange={(side) => change({ side })} />
        <Choice small label="Type of order" value={draft.kind} options={KINDS} onChange={(kind) => change({ kind })} />
        {draft.kind === "limit" && (
          <Field
            label="Limit price"
            name="price"
            inputMode="decimal"
            autoComplete="off"
            value={draft.price}
            onChange={(event) => change({ price: event.target.value })}
            suffix={market.quote_asset}
            placeholder={asTyped(livePrice ?? "")}
            error={shown.price}
          />
        )}
        <AmountField draft={draft} around={around} error={shown.amount ?? shortage ?? undefined} onChange={change} />
        <Summary draft={draft} market={market} estimate={estimate} available={signedIn ? available : undefined} />
        <FormError error={place.error} />
        {signedIn ? (
          <Button type="submit" tone={draft.side} size="large" className="w-full" disabled={place.isPending}>
            {place.checking ? "Checking…" : `${draft.side === "buy" ? "Buy" : "Sell"} ${market.base_asset}`}
          </Button>
        ) : (
          <SignInFirst />
        )}
      </form>
      {review !== null && (
        <ReviewDialog
          order={review}
          market={market}
          estimate={estimate}
          state={place.checking ? "checking" : place.isPending ? "sending" : "asking"}
          onConfirm={() => confirm(review)}
          onClose={() => setReview(null)}
        />
      )}
    </section>
  );
}

function SignInFirst() {
  const { pathname } = useLocation();
  return (
    <ButtonLink to="/sign-in" state={{ from: pathname }} tone="primary" size="large" className="w-full">
      Sign in to trade
    </ButtonLink>
  );
}
