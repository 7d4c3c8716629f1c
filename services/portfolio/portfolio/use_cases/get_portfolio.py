"""What a user holds now, never older than what he was last told."""

import asyncio

from chassis.clock import Clock

from portfolio.domain.valuation import Balances, Portfolio, value_portfolio
from portfolio.use_cases.await_fold import AwaitFold
from portfolio.use_cases.ports import HoldingsStore, Ledger, PortfolioCache, Prices

FOLD_WAIT_SECONDS = 0.25  # of a read's one second; after that the reader is told that cost and profit lag
CUTS_MAX = 3  # a user who trades so fast that the fold passes each answer is told the newest we have


class GetPortfolio:
    """Reads your own writes, through a cache.

    The leader answers each order after it is durable, and from the same memory it tells a user's newest batch with his
    balances. So every read asks it first: whatever order was acknowledged before the read began is in batch b. A cached
    view carries the batch it shows and is served only if that is at least b; nothing else (time to live, invalidation
    by the consumer) is needed for it to be right, and a lost Redis or a late invalidation cannot show an old state.
    What the cache saves is the fold's row, the join and the arithmetic; what it may show up to 15 s old are prices.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        store: HoldingsStore,
        cache: PortfolioCache,
        prices: Prices,
        await_fold: AwaitFold,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._cache = cache
        self._prices = prices
        self._await_fold = await_fold
        self._clock = clock
        self._flights: dict[tuple[str, int], asyncio.Task[Portfolio]] = {}

    async def __call__(self, user_id: str) -> Portfolio:
        """The caller's portfolio; `user_id` is the caller.

        Raises:
            RemoteError: the exchange does not answer.
        """
        # Side by side: a view cached meanwhile is judged by its batch like any other.
        looking_up = asyncio.create_task(self._cache.get(user_id))
        try:
            balances = await self._ledger.balances()
            cached = await looking_up
        finally:
            looking_up.cancel()  # where the exchange does not answer; nobody would wait for it, not even a stop
        if cached is not None and cached.batch >= balances.batch:
            return cached
        # One flight per user and batch: who joins it asked the leader himself and heard of the same state.
        key = (user_id, balances.batch)
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._compose(user_id, balances))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        # Shielded: one reader who hangs up must not take the answer from the others.
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Ends the flights whose readers have all hung up: what they need is closed next."""
        for flight in self._flights.values():
            flight.cancel()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    def _landed(self, key: tuple[str, int], flight: asyncio.Task[Portfolio]) -> None:
        self._flights.pop(key, None)
        # Looked at here, since by now every reader may have hung up.
        if not flight.cancelled():
            flight.exception()

    async def _compose(self, user_id: str, balances: Balances) -> Portfolio:
        for _ in range(CUTS_MAX):
            reached = await self._await_fold(balances.batch, timeout_seconds=FOLD_WAIT_SECONDS)
            folded = await self._store.get(user_id)
            if folded.batch <= balances.batch:
                behind = not reached
                break
            # The user traded in between: balances of then and costs of now are no state that ever was.
            balances = await self._ledger.balances()
        else:
            # No fold was awaited for these balances: they and the costs are of one state only if of the same batch.
            behind = folded.batch != balances.batch
        portfolio = value_portfolio(
            balances,
            folded,
            quotes=self._prices.quotes,
            names=self._prices.names,
            now=self._clock.now(),
            behind=behind,
        )
        if not portfolio.behind:
            await self._cache.put(user_id, portfolio)
        return portfolio
