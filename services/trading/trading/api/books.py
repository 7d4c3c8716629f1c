"""Order books as the public sees them: around the newest tick, once, and as they change."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NamedTuple

from chassis.errors import ErrorKind, ServiceError
from cryptovault.trading.v1 import trading_pb2

from trading.api.messages import timestamp
from trading.api.watch import BEAT_SECONDS
from trading.domain.errors import UnknownMarket
from trading.domain.markets import Market
from trading.domain.queries import Depth, Level, depth
from trading.domain.state import ExchangeState
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer

# A book changes with every order and, by refill and age of the price, with time alone. Nobody reads faster than this;
# one look costs 0.1 ms.
CADENCE_SECONDS = 0.25
WATCHERS_MAX = 512  # each gateway watches a market once, however many clients it has


class TooManyBookWatchers(ServiceError):
    kind = ErrorKind.EXHAUSTED
    reason = "too_many_watchers"

    def __init__(self) -> None:
        super().__init__("Too many books are watched.", limit=str(WATCHERS_MAX))


class Book(NamedTuple):
    market: Market
    batch: int
    levels: Depth
    time_milliseconds: int


class Books:
    def __init__(
        self,
        *,
        sequencer: Sequencer,
        prices: ReferencePrices,
        time: JournalTime,
        cadence_seconds: float = CADENCE_SECONDS,
    ) -> None:
        self._sequencer = sequencer
        self._prices = prices
        self._time = time
        self._cadence_seconds = cadence_seconds
        self._watchers = 0

    async def get(self, symbol: str, levels: int) -> trading_pb2.GetBookResponse:
        """Raises `UnknownMarket`, `NotLeading`."""
        book = await self._look(symbol, levels)
        return trading_pb2.GetBookResponse(
            market=symbol,
            batch=book.batch,
            bids=_messages(book.levels.bids, book.market),
            asks=_messages(book.levels.asks, book.market),
            time=timestamp(book.time_milliseconds),
        )

    async def watch(self, symbol: str, levels: int) -> AsyncIterator[trading_pb2.WatchBookResponse]:
        """First the whole book, then what changed of it; while nothing does, an empty message now and then, so that
        silence says that nobody leads here. Raises as `get`, and `TooManyBookWatchers`.
        """
        if self._watchers >= WATCHERS_MAX:
            raise TooManyBookWatchers
        self._watchers += 1
        try:
            known = await self._look(symbol, levels)
            yield _message(known, known.levels, snapshot=True)
            silent_seconds = 0.0
            while True:
                await asyncio.sleep(self._cadence_seconds)
                silent_seconds += self._cadence_seconds
                book = await self._look(symbol, levels)
                if book.levels != known.levels or silent_seconds >= BEAT_SECONDS:
                    silent_seconds = 0.0
                    changes = Depth(
                        _changes(known.levels.bids, book.levels.bids), _changes(known.levels.asks, book.levels.asks)
                    )
                    known = book
                    yield _message(book, changes, snapshot=False)
        finally:
            self._watchers -= 1

    async def _look(self, symbol: str, levels: int) -> Book:
        now = self._time.now()

        def question(state: ExchangeState) -> Book:
            market_state = state.markets.get(symbol)
            if market_state is None:
                raise UnknownMarket(market=symbol)
            # The journal holds a tick only once it was used; what is shown stands around the newest one.
            reference = self._prices.as_reference(symbol, now) or market_state.reference
            shown = ExchangeState(markets={symbol: replace(market_state, reference=reference)})
            return Book(
                market_state.market, state.batch_number, depth(shown, symbol, levels, time_milliseconds=now), now
            )

        return await self._sequencer.read(question)


def _changes(before: list[Level], after: list[Level]) -> list[Level]:
    """The levels that are new or have another quantity, and those that are gone, with quantity 0."""
    known, present = dict(before), dict(after)
    changed = [level for level in after if known.get(level.price) != level.quantity]
    return changed + [Level(price, 0) for price in known if price not in present]


def _message(book: Book, levels: Depth, *, snapshot: bool) -> trading_pb2.WatchBookResponse:
    return trading_pb2.WatchBookResponse(
        snapshot=snapshot,
        batch=book.batch,
        bids=_messages(levels.bids, book.market),
        asks=_messages(levels.asks, book.market),
        time=timestamp(book.time_milliseconds),
    )


def _messages(levels: list[Level], market: Market) -> list[trading_pb2.BookLevel]:
    return [
        trading_pb2.BookLevel(price=market.price_text(level.price), quantity=market.quantity_text(level.quantity))
        for level in levels
    ]
