"""Asks the source once, for everybody."""

import asyncio

from chassis.clock import Clock
from chassis.logs import get_logger

from market_data.domain.price_board import PriceBoard
from market_data.metrics import PRICE_CACHE_FAILURES, PRICE_FETCHES, PRICE_SOURCE_TIME
from market_data.use_cases.ports import CacheUnavailable, PriceCache, PriceProvider, ProviderUnavailable
from market_data.use_cases.price_feed import PriceFeed

log = get_logger(__name__)


class RefreshPrices:
    """Brings the board, its followers and the cache up to date. Calls that overlap share one fetch and its outcome.

    Raises ProviderUnavailable; the cache failing is only logged, since the prices themselves are fine.
    """

    def __init__(
        self, *, provider: PriceProvider, board: PriceBoard, feed: PriceFeed, cache: PriceCache, clock: Clock
    ) -> None:
        self._provider = provider
        self._board = board
        self._feed = feed
        self._cache = cache
        self._clock = clock
        self._flight: asyncio.Task[None] | None = None
        self._cache_failing = False

    async def __call__(self) -> None:
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._refresh())
        # One caller giving up must not take the fetch away from the others.
        await asyncio.shield(self._flight)

    async def close(self) -> None:
        """Ends a fetch whose callers have all given up: what it needs is closed next."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    async def _refresh(self) -> None:
        try:
            quotes = await self._provider.fetch()
        except ProviderUnavailable as error:
            self._board.fail(error.problem)
            PRICE_FETCHES.labels(self._board.source, "failed").inc()
            raise
        PRICE_FETCHES.labels(self._board.source, "answered").inc()
        self._feed.publish(self._board.take(quotes, time=self._clock.now()))
        if self._board.newest_source_time is not None:
            PRICE_SOURCE_TIME.labels(self._board.source).set(self._board.newest_source_time.timestamp())
        try:
            await self._cache.store(self._board.prices.values())
        except CacheUnavailable as error:
            PRICE_CACHE_FAILURES.inc()
            if not self._cache_failing:
                log.warning("Prices are not cached", event="price_cache_failed", problem=str(error))
            self._cache_failing = True
        else:
            self._cache_failing = False
