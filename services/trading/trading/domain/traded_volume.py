"""How much a user traded lately, which is what fee tiers go by."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from trading.domain.amounts import AMOUNT_MAX

VOLUME_DAYS = 30  # today and the 29 days before it, by UTC
DAY_MILLISECONDS = 86_400_000


@dataclass(slots=True, eq=False)
class TradedVolume:
    """One user's trades in one quote asset, summed by UTC day of journal time. Only `evolve` changes it.

    Whole days rather than a window to the millisecond: 30 numbers a user instead of one per trade, exact all the same,
    and a tier that anybody can work out from a statement.
    """

    total: int = 0  # quote minor units of all days here
    # The newest day is at hand, since every fill looks for it.
    day: int = -1  # since 1970; below zero: there is none yet
    of_day: int = 0  # quote minor units
    earlier: list[tuple[int, int]] = field(default_factory=list)  # (day, quote minor units), oldest first

    @classmethod
    def of(cls, days: Iterable[tuple[int, int]]) -> Self:
        """From what `days` gave."""
        volume = cls()
        for day, amount in days:
            volume.add(amount, day * DAY_MILLISECONDS)
        return volume

    @property
    def days(self) -> list[tuple[int, int]]:
        """(day since 1970, quote minor units), oldest first."""
        return [*self.earlier, (self.day, self.of_day)] if self.day >= 0 else []

    def add(self, notional: int, time_milliseconds: int) -> None:
        day = time_milliseconds // DAY_MILLISECONDS
        if day != self.day:
            self._begin(day)
        # No tier begins above what 63 bits hold, and a day's sum never passes that either.
        room = AMOUNT_MAX - self.of_day
        counted = notional if notional < room else room  # noqa: FURB136 - a tenth of min()'s time
        self.of_day += counted
        self.total += counted

    def at(self, time_milliseconds: int) -> int:
        """Quote minor units, as of a time not before the newest trade's."""
        gone = time_milliseconds // DAY_MILLISECONDS - VOLUME_DAYS
        total = self.total
        for day, amount in self.days:
            if day > gone:
                break
            total -= amount
        return total

    def _begin(self, day: int) -> None:
        self.earlier = [known for known in self.days if known[0] > day - VOLUME_DAYS]
        self.total = sum(amount for _, amount in self.earlier)
        self.day, self.of_day = day, 0
