"""Keep holdings and their cost in step with the exchange's journal."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from chassis.journal_consumer import Entry

from portfolio.domain.exact import rounded, times
from portfolio.domain.facts import Fact
from portfolio.domain.holdings import CASH, Holdings
from portfolio.domain.valuation import allocate
from portfolio.use_cases.ports import BatchFacts, HoldingsStore, Journal, PortfolioCache, Prices, ValuedHoldings

_ONE = Decimal(1)


class FoldJournal:
    """The two halves a journal consumer asks for. Cached views of touched users go once the fold is durable."""

    def __init__(self, *, journal: Journal, store: HoldingsStore, cache: PortfolioCache, prices: Prices) -> None:
        self._journal = journal
        self._store = store
        self._cache = cache
        self._prices = prices
        self._touched: dict[str, None] = {}

    async def read(self, after: int, limit: int) -> Sequence[Entry[BatchFacts]]:
        # The consumer reads on soon after each commit: here what `apply` wrote is durable, and Redis may be asked,
        # which inside a transaction it may not.
        if self._touched:
            touched, self._touched = self._touched, {}
            await self._cache.drop(touched)
        return await self._journal.read(after, limit)

    async def apply(self, entries: Sequence[Entry[BatchFacts]]) -> None:
        """Fold whole batches. Database calls only, and may run twice.

        Raises:
            Overdrawn: the journal contradicts what was folded so far.
        """
        by_user: dict[str, dict[int, list[Fact]]] = {}
        times_of_batches: dict[int, datetime] = {}
        for entry in entries:
            times_of_batches[entry.number] = entry.payload.time
            for user_fact in entry.payload.facts:
                by_user.setdefault(user_fact.user_id, {}).setdefault(entry.number, []).append(user_fact.fact)
            self._touched.update(dict.fromkeys(entry.payload.touched))
        if not by_user:
            return
        current = await self._store.get_many(by_user)
        changed = []
        for user_id, batches in by_user.items():
            before = after = current[user_id]
            for number, facts in batches.items():
                after = after.after(facts, batch=number)
            changed.append(self._valued(after, before.batch, times_of_batches[after.batch]))
        await self._store.save(changed)

    def _valued(self, holdings: Holdings, previous_batch: int, updated_at: datetime) -> ValuedHoldings:
        # For whoever looks into the collection; a read values the balances anew.
        quotes = self._prices.quotes
        values: dict[str, Decimal] = {}
        for asset, position in holdings.positions.items():
            price = _ONE if asset == CASH else quotes[asset].price if asset in quotes else None
            if price is not None:
                values[asset] = rounded(times(position.quantity, price))
        return ValuedHoldings(
            holdings=holdings,
            previous_batch=previous_batch,
            names=self._prices.names,
            values=values,
            allocations=allocate(values),
            updated_at=updated_at,
        )
