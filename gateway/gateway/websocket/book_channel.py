"""The channel `book`: one market's book, followed once for all its readers, told as it changes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, Literal

from cryptovault.trading.v1 import trading_pb2 as pb

from gateway.views.times import time_text
from gateway.websocket.messages import BOOK, market_message
from gateway.websocket.outbox import Outbox

Follow = Callable[[str], AsyncIterator[pb.WatchBookResponse]]
_Levels = list[tuple[str, str]]


class BookChannel:
    """`follow` yields one market's book for ever: a snapshot at each beginning of the stream, then changes.

    The exchange sends changes at its own cadence; each becomes one message, made once, with the next number. A stream
    that broke begins with a snapshot again, and so do the readers: so there is never a gap that a number does not show.
    """

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self._books: dict[str, _Book] = {}

    def subscribe(self, market: str, outbox: Outbox) -> None:
        """A snapshot as soon as there is one, updates from then on. The market must exist."""
        book = self._books.get(market)
        if book is None:
            book = self._books[market] = _Book(market)
            book.task = asyncio.create_task(self._run(book), name=f"book-{market}")
        book.subscribers.add(outbox)
        if book.seq:
            outbox.put_snapshot(book.topic, book.snapshot)

    def unsubscribe(self, market: str, outbox: Outbox) -> None:
        book = self._books.get(market)
        if book is None or outbox not in book.subscribers:
            return
        book.subscribers.discard(outbox)
        outbox.drop(book.topic)
        if not book.subscribers:
            # Nobody reads it: nobody follows it.
            del self._books[market]
            if book.task is not None:
                book.task.cancel()

    def stop(self) -> None:
        """Follow nothing any more."""
        for book in self._books.values():
            if book.task is not None:
                book.task.cancel()

    async def _run(self, book: "_Book") -> None:
        async for message in self._follow(book.market):
            book.take(message)


class _Book:
    def __init__(self, market: str) -> None:
        self.market = market
        self.topic = f"{BOOK}:{market}"
        self.seq = 0  # 0 until the first snapshot
        self.subscribers: set[Outbox] = set()
        self.task: asyncio.Task[None] | None = None
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._time = ""

    def take(self, message: pb.WatchBookResponse) -> None:
        if not (message.snapshot or message.bids or message.asks):
            return  # the exchange lives, and nothing has changed
        self.seq += 1
        self._time = time_text(message.time)
        if message.snapshot:
            self._bids, self._asks = {}, {}
        for levels, changed in ((self._bids, message.bids), (self._asks, message.asks)):
            for level in changed:
                if level.quantity == "0":
                    levels.pop(level.price, None)
                else:
                    levels[level.price] = level.quantity
        if message.snapshot:
            for outbox in self.subscribers:
                outbox.put_snapshot(self.topic, self.snapshot)
            return
        text = self._message("update", _pairs(message.bids), _pairs(message.asks))
        for outbox in self.subscribers:
            outbox.put_update(self.topic, text, self.snapshot)

    def snapshot(self) -> str:
        bids = sorted(self._bids.items(), key=_price, reverse=True)
        return self._message("snapshot", bids, sorted(self._asks.items(), key=_price))

    def _message(self, kind: Literal["snapshot", "update"], bids: _Levels, asks: _Levels) -> str:
        return market_message(
            BOOK, self.market, seq=self.seq, kind=kind, time=self._time, data={"bids": bids, "asks": asks}
        )


def _pairs(levels: Any) -> _Levels:
    return [(level.price, level.quantity) for level in levels]


def _price(level: tuple[str, str]) -> Decimal:
    return Decimal(level[0])
