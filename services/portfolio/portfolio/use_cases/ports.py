"""What the use cases need of the outside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from chassis.journal_consumer import Entry

from portfolio.domain.facts import Fact
from portfolio.domain.holdings import Holdings
from portfolio.domain.valuation import Balances, Portfolio, Quote


@dataclass(frozen=True, slots=True)
class UserFact:
    user_id: str
    fact: Fact


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """One journal batch: what it changed in holdings, in order, and everybody it touched at all."""

    time: datetime
    facts: tuple[UserFact, ...]
    touched: tuple[str, ...]


class Journal(Protocol):
    async def read(self, after: int, limit: int) -> Sequence[Entry[BatchFacts]]:
        """Whole batches after that number, in order. Raises ServiceError of kind UNAVAILABLE."""
        ...

    async def wait_for(self, batch: int, timeout_seconds: float) -> None:
        """Until that batch can be read, or the time is over. Raises RemoteError."""
        ...


class FoldProgress(Protocol):
    """How far the fold of the journal has come. `position` is the last batch in it; once `stale` it stays there."""

    @property
    def position(self) -> int: ...

    @property
    def stale(self) -> bool: ...

    async def reached(self, number: int, timeout_seconds: float) -> bool:
        """Has that batch folded at once; False when it takes too long or the fold has stopped."""
        ...


class Ledger(Protocol):
    """The exchange's leader."""

    async def balances(self) -> Balances:
        """The current caller's."""
        ...

    async def give(self, user_id: str, *, asset: str, amount: Decimal, business_key: str, kind: str) -> bool:
        """From the outside world to a user, at most once per business key; False where it had been done before."""
        ...


class HoldingsStore(Protocol):
    async def get(self, user_id: str) -> Holdings: ...

    async def get_many(self, user_ids: Iterable[str]) -> dict[str, Holdings]:
        """By user id; everybody asked for is there."""
        ...

    async def save(self, changed: Sequence["ValuedHoldings"]) -> None: ...


@dataclass(frozen=True, slots=True)
class ValuedHoldings:
    """Folded holdings, and what they were worth when they were folded."""

    holdings: Holdings
    previous_batch: int
    names: Mapping[str, str]
    values: Mapping[str, Decimal]
    allocations: Mapping[str, Decimal]
    updated_at: datetime


class PortfolioCache(Protocol):
    """Never fails: what it cannot reach it does not have."""

    async def get(self, user_id: str) -> Portfolio | None: ...

    async def put(self, user_id: str, portfolio: Portfolio) -> None: ...

    async def drop(self, user_ids: Iterable[str]) -> None: ...


class Prices(Protocol):
    @property
    def quotes(self) -> Mapping[str, Quote]:
        """The newest known, by asset."""
        ...

    @property
    def names(self) -> Mapping[str, str]:
        """What people call an asset, by its symbol."""
        ...
