"""What the use cases need of the outside."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from market_data.domain.price import Price, Quote


class ProviderUnavailable(Exception):
    """The source gave no usable answer. `retry_after_seconds` is what it asked for, where it did."""

    def __init__(self, problem: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds


class CacheUnavailable(Exception):
    """The shared cache did not take the prices; readers of it see them run out."""


class PriceProvider(Protocol):
    """Where prices come from."""

    @property
    def source(self) -> str:
        """Its name in every price."""
        ...

    async def fetch(self) -> Sequence[Quote]:
        """The current quotes in our symbols, already rounded to our price places. Raises ProviderUnavailable."""
        ...


class PriceCache(Protocol):
    """The copy of the current prices that others may read without asking us."""

    async def store(self, prices: Iterable[Price]) -> None:
        """Replaces the whole document. Raises CacheUnavailable."""
        ...
