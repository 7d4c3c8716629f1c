"""Reference prices that crossed a resting or reached a waiting order, as they came, until a batch takes them in.

The newest tick alone would not do: one that reached a stop price and was followed by one that did not must trigger.
"""

from collections import deque

from trading.domain.commands import SetReferencePrice

# Of all markets. Batches take them in every few milliseconds, ticks come once a second and market; beyond, the append
# hangs, and what is kept is enough to reach every order that was to be reached first.
CROSSINGS_MAX = 1_024


class Crossings:
    """First in, first out, in each market."""

    def __init__(self) -> None:
        self._ticks: dict[str, deque[SetReferencePrice]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, market: str) -> bool:
        return market in self._ticks

    @property
    def markets(self) -> list[str]:
        """That have ticks."""
        return list(self._ticks)

    def add(self, tick: SetReferencePrice) -> None:
        if self._count < CROSSINGS_MAX:
            self._ticks.setdefault(tick.market, deque()).append(tick)
            self._count += 1

    def take(self, market: str) -> SetReferencePrice:
        """The oldest one of a market that has any."""
        ticks = self._ticks[market]
        tick = ticks.popleft()
        if not ticks:
            del self._ticks[market]
        self._count -= 1
        return tick
