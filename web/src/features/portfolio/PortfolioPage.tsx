import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { DataView } from "@/components/DataView";
import { Money } from "@/components/Money";
import { Page } from "@/components/layout/Page";
import { Button, ButtonLink } from "@/components/ui/Button";
import { Card } from "@/components/ui/Card";
import { EmptyNotice } from "@/components/ui/Notice";
import { Skeleton } from "@/components/ui/Skeleton";
import { Doughnut } from "@/features/portfolio/Doughnut";
import { EyeIcon } from "@/features/portfolio/EyeIcon";
import { HoldingsTable } from "@/features/portfolio/HoldingsTable";
import { sharesOf } from "@/features/portfolio/shares";
import type { Portfolio } from "@/lib/api-types";
import { sum } from "@/lib/decimal";
import { formatTime } from "@/lib/format";
import { portfolioQuery } from "@/lib/queries";
import { useUiSettings } from "@/lib/ui-settings";

const USD = "USD";

export default function PortfolioPage() {
  const portfolio = useQuery(portfolioQuery);
  return (
    <Page title="Portfolio" actions={<PrivacyButton />}>
      <DataView
        query={portfolio}
        skeleton={<PortfolioSkeleton />}
        isEmpty={({ holdings }) => holdings.length === 0}
        empty={
          <Card>
            <EmptyNotice title="You hold nothing yet.">
              <p className="text-sm text-muted">What you buy shows here, with what it cost and what it is worth.</p>
              <ButtonLink to="/markets" tone="primary">
                See the markets
              </ButtonLink>
            </EmptyNotice>
          </Card>
        }
      >
        {(data) => <PortfolioView portfolio={data} />}
      </DataView>
    </Page>
  );
}

function PortfolioView({ portfolio }: { readonly portfolio: Portfolio }) {
  const { holdings, total_value, cash, realized_pnl, as_of } = portfolio;
  const unrealized = holdings.flatMap((holding) => holding.unrealized_pnl ?? []);
  const shares = sharesOf(holdings);
  return (
    <div className="space-y-4">
      <dl className="grid grid-cols-2 gap-4 lg:grid-cols-4">
        <Tile name="Total value">
          <Money value={total_value} asset={USD} className="text-2xl font-semibold" />
        </Tile>
        <Tile name="Cash">
          <Money value={cash} asset={USD} />
        </Tile>
        <Tile name="Unrealised P&L">
          {unrealized.length === 0 ? NOTHING : <Money coloured value={sum(unrealized)} asset={USD} />}
        </Tile>
        <Tile name="Realised P&L">
          {realized_pnl === null ? NOTHING : <Money coloured value={realized_pnl} asset={USD} />}
        </Tile>
      </dl>
      <div className="grid gap-4 xl:grid-cols-[22rem_minmax(0,1fr)]">
        <Card title="Allocation">
          {shares.length === 0 ? (
            <EmptyNotice title="Nothing has a price at the moment." />
          ) : (
            <Doughnut shares={shares} />
          )}
        </Card>
        <Card title="Holdings" flush actions={<span className="text-xs text-muted">As of {formatTime(as_of)}</span>}>
          <HoldingsTable holdings={holdings} />
        </Card>
      </div>
    </div>
  );
}

const NOTHING = <span className="text-muted">–</span>;

function Tile({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div className="flex min-h-24 flex-col justify-between rounded-xl border border-line bg-surface p-4">
      <dt className="text-sm text-muted">{name}</dt>
      <dd className="text-lg font-medium">{children}</dd>
    </div>
  );
}

function PrivacyButton() {
  const hidden = useUiSettings((settings) => settings.amountsHidden);
  const toggle = useUiSettings((settings) => settings.toggleAmounts);
  return (
    <Button size="small" aria-pressed={hidden} onClick={toggle}>
      <EyeIcon open={!hidden} />
      Hide amounts
    </Button>
  );
}

function PortfolioSkeleton() {
  return (
    <output className="block space-y-4">
      <span className="sr-only">Loading…</span>
      <div className="grid grid-cols-2 gap-4 lg:grid-cols-4">
        {["total", "cash", "unrealised", "realised"].map((tile) => (
          <Skeleton key={tile} className="h-24" />
        ))}
      </div>
      <Skeleton className="h-72" />
    </output>
  );
}
