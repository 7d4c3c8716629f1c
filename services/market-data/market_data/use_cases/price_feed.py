"""Hands new prices to everyone who follows them."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from market_data.domain.errors import TooManyFollowers
from market_data.domain.price import Price
from market_data.metrics import PRICE_FOLLOWERS

# A few per gateway and trading replica; each holds one HTTP/2 stream and at most one price per asset.
FOLLOWERS_MAX: Final = 256


class Follower:
    """One reader's unread prices. Only the newest per asset is kept: a slow reader costs no memory, and what it reads
    is never older than its last read.
    """

    def __init__(self) -> None:
        self._unread: dict[str, Price] = {}
        self._news = asyncio.Event()
        self.closed = False

    def push(self, prices: Iterable[Price]) -> None:
        self._unread.update((price.quote.symbol, price) for price in prices)
        self._news.set()

    def close(self) -> None:
        self.closed = True
        self._news.set()

    async def read(self, *, patience_seconds: float) -> list[Price]:
        """What changed since the last read, waiting for a first change; empty when nothing did for so long."""
        if not self._news.is_set():
            try:
                async with asyncio.timeout(patience_seconds):
                    await self._news.wait()
            except TimeoutError:
                return []
        self._news.clear()
        unread, self._unread = self._unread, {}
        return list(unread.values())


class PriceFeed:
    """The followers of one process."""

    def __init__(self, *, followers_max: int = FOLLOWERS_MAX) -> None:
        self._followers: set[Follower] = set()
        self._followers_max = followers_max

    @contextmanager
    def follow(self) -> Iterator[Follower]:
        """A follower for as long as the block runs. Raises TooManyFollowers."""
        if len(self._followers) >= self._followers_max:
            raise TooManyFollowers(limit=self._followers_max)
        follower = Follower()
        self._followers.add(follower)
        PRICE_FOLLOWERS.inc()
        try:
            yield follower
        finally:
            self._followers.discard(follower)
            PRICE_FOLLOWERS.dec()

    def publish(self, prices: Iterable[Price]) -> None:
        """Never waits for a follower."""
        changed = list(prices)
        if changed:
            for follower in self._followers:
                follower.push(changed)

    def close(self) -> None:
        """Ends every stream, so that a stop need not wait for its readers."""
        for follower in self._followers:
            follower.close()
