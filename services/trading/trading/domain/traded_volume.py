"""How much a user traded lately, which is what fee tiers go by."""

from collections import deque
from dataclasses import dataclass, field

from trading.domain.amounts import AMOUNT_MAX

VOLUME_DAYS = 30  # today and the 29 days before it, by UTC
DAY_MILLISECONDS = 86_400_000


@dataclass(slots=True, eq=False)
class TradedVolume:
    """One user's trades in one quote asset, summed by UTC day of journal time. Only `evolve` changes it.

    Whole days rather than a window to the millisecond: 30 numbers a user instead of one per trade, exact all the same,
    and a tier that anybody can work out from a statement.
    """

    days: deque[list[int]] = field(default_factory=deque)  # [day since 1970, quote minor units], oldest first
    total: int = 0  # of all days here

    def add(self, notional: int, time_milliseconds: int) -> None:
        day = time_milliseconds // DAY_MILLISECONDS
        days = self.days
        if not days or days[-1][0] != day:
            while days and days[0][0] <= day - VOLUME_DAYS:
                self.total -= days.popleft()[1]
            days.append([day, 0])
        newest = days[-1]
        # No tier begins above what 63 bits hold, and a day's sum never passes that either.
        room = AMOUNT_MAX - newest[1]
        counted = notional if notional < room else room  # noqa: FURB136 - a tenth of min()'s time
        newest[1] += counted
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
