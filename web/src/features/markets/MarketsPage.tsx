import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { useSearchParams } from "react-router";
import { DataView } from "@/components/DataView";
import { Page } from "@/components/layout/Page";
import { Button } from "@/components/ui/Button";
import { Card } from "@/components/ui/Card";
import { EmptyNotice } from "@/components/ui/Notice";
import { SkeletonRows } from "@/components/ui/Skeleton";
import { MarketsTable } from "@/features/markets/MarketsTable";
import { chosenMarkets, readView, type MarketsView } from "@/features/markets/view";
import { marketsQuery, pricesQuery } from "@/lib/queries";
import { useUiSettings } from "@/lib/ui-settings";

const ROWS_EXPECTED = 12;

/** Every market with its live price. What you search and sort by is in the address, so it can be shared. */
export default function MarketsPage() {
  const [parameters, setParameters] = useSearchParams();
  const view = useMemo(() => readView(parameters), [parameters]);
  const change = (news: Partial<MarketsView>) => {
    const next = { ...view, ...news };
    const written = new URLSearchParams();
    if (next.search !== "") written.set("search", next.search);
    if (next.sort !== "volume" || next.descending === false) {
      written.set("sort", `${next.descending ? "-" : ""}${next.sort}`);
    }
    if (next.favouritesOnly) written.set("favourites", "1");
    setParameters(written, { replace: true });
  };
  return (
    <Page title="Markets">
      <Card flush>
        <div className="flex flex-wrap items-center gap-3 border-b border-line p-3">
          <label className="grow sm:max-w-xs">
            <span className="sr-only">Search markets</span>
            <input
              type="search"
              value={view.search}
              onChange={(event) => change({ search: event.target.value })}
              placeholder="Search, such as BTC or Bitcoin"
              className="min-h-10 w-full rounded-lg border border-control-line bg-surface px-3 text-base placeholder:text-muted sm:text-sm"
            />
          </label>
          <Button
            aria-pressed={view.favouritesOnly}
            tone={view.favouritesOnly ? "primary" : "secondary"}
            onClick={() => change({ favouritesOnly: !view.favouritesOnly })}
          >
            Favourites
          </Button>
        </div>
        <Markets view={view} onChange={change} />
      </Card>
    </Page>
  );
}

interface MarketsProps {
  readonly view: MarketsView;
  readonly onChange: (news: Partial<MarketsView>) => void;
}

function Markets({ view, onChange }: MarketsProps) {
  const markets = useQuery(marketsQuery);
  const favourites = useUiSettings((settings) => settings.favourites);
  // Sorting follows the prices of when it was asked for: rows that jump while you aim at them help nobody.
  const prices = useQuery({ ...pricesQuery, notifyOnChangeProps: ["status"] });
  return (
    <DataView
      query={markets}
      skeleton={<SkeletonRows rows={ROWS_EXPECTED} rowClassName="h-14" />}
      isEmpty={(items) => items.length === 0}
      empty={<EmptyNotice title="No market is open yet." />}
    >
      {(items) => {
        const chosen = chosenMarkets(items, prices.data ?? {}, favourites, view);
        if (chosen.length > 0) return <MarketsTable markets={chosen} view={view} onChange={onChange} />;
        return (
          <EmptyNotice title={view.favouritesOnly ? "None of your favourites is here." : "No market has that name."}>
            <Button size="small" onClick={() => onChange({ search: "", favouritesOnly: false })}>
              Show all markets
            </Button>
          </EmptyNotice>
        );
      }}
    </DataView>
  );
}
