"""Stand-ins and small builders shared by market-data's tests."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from market_data.domain.price import Price, Quote
from market_data.use_cases.ports import CacheUnavailable, ProviderUnavailable

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class ScriptedProvider:
    """A source that answers what the test lays out."""

    source = "scripted"

    def __init__(self) -> None:
        self.answer: Sequence[Quote] | ProviderUnavailable = []
        self.fetches = 0

    async def fetch(self) -> Sequence[Quote]:
        self.fetches += 1
        if isinstance(self.answer, ProviderUnavailable):
            raise self.answer
        return self.answer


class MemoryCache:
    def __init__(self) -> None:
        self.stored: list[Price] = []
        self.broken = False

    async def store(self, prices: Iterable[Price]) -> None:
        if self.broken:
            raise CacheUnavailable("gone")
        self.stored = list(prices)


def make_quote(symbol: str = "BTC", price: str = "100.00", source_time: datetime = NOON) -> Quote:
    return Quote(
        symbol=symbol,
        price=Decimal(price),
        change_24h=Decimal("-1.25"),
        high_24h=Decimal("101.00"),
        low_24h=Decimal("99.00"),
        volume_24h=Decimal(1000000),
        source_time=source_time,
    )


@pytest.fixture
def quote() -> Callable[..., Quote]:
    return make_quote


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def cache() -> MemoryCache:
    return MemoryCache()
