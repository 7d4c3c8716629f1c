"""The newest price of each asset, and how the source is doing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from market_data.domain.price import Price, Quote


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """The source as of now. `problem` says why it is not available."""

    source: str
    available: bool
    last_success: datetime | None
    problem: str


class PriceBoard:
    """One source's prices. Two sources never share a board, so simulated and real prices cannot mix.

    `stale_after` is how old the newest source time may be before the source counts as silent.
    """

    def __init__(self, *, source: str, stale_after: timedelta) -> None:
        self.source = source
        self._stale_after = stale_after
        self._prices: dict[str, Price] = {}
        self._last_success: datetime | None = None
        self._problem = "The source has not been asked yet."

    @property
    def prices(self) -> Mapping[str, Price]:
        """The newest price by symbol, in the source's order."""
        return self._prices

    @property
    def newest_source_time(self) -> datetime | None:
        """When the source last said anything new; None before it did."""
        return max((price.quote.source_time for price in self._prices.values()), default=None)

    def take(self, quotes: Iterable[Quote], *, time: datetime) -> list[Price]:
        """Accepts an answer of the source and returns the prices whose quote is new. Time never goes back: an older
        quote, such as a cache on the way would give, changes nothing.
        """
        changed = []
        for quote in quotes:
            known = self._prices.get(quote.symbol)
            if known is None or (quote != known.quote and quote.source_time >= known.quote.source_time):
                self._prices[quote.symbol] = price = Price(quote=quote, source=self.source, time=time)
                changed.append(price)
        self._last_success = time
        self._problem = ""
        return changed

    def fail(self, problem: str) -> None:
        """Notes that the source did not answer; the last prices stay, with their times."""
        self._problem = problem

    def status(self, *, now: datetime) -> ProviderStatus:
        """Available means: it answered last time, and what it says is fresh."""
        problem = self._problem
        newest = self.newest_source_time
        if not problem and newest is None:
            problem = "The source prices none of our assets."
        elif not problem and newest is not None and now - newest > self._stale_after:
            problem = f"The newest price is {(now - newest).total_seconds():.0f} s old."
        return ProviderStatus(
            source=self.source, available=not problem, last_success=self._last_success, problem=problem
        )
