"""Reference prices that crossed a resting or reached a waiting order, as they came, until a batch takes them in.

The newest tick alone would not do: one that reached a stop price and was followed by one that did not must trigger.
"""

from collections import deque

from trading.domain.commands import SetReferencePrice

# Of all markets. Batches take them in every few milliseconds, ticks come once a second and market; beyond, the append
# hangs, and what is kept is enough to reach every order that was to be reached first.
CROSSINGS_MAX = 1_024


class Crossings:
    """First in, first out."""

    def __init__(self) -> None:
        self._ticks: deque[SetReferencePrice] = deque()

    def add(self, tick: SetReferencePrice) -> None:
        if len(self._ticks) < CROSSINGS_MAX:
            self._ticks.append(tick)

    @property
    def first(self) -> SetReferencePrice | None:
        return self._ticks[0] if self._ticks else None

    def drop_first(self) -> None:
        self._ticks.popleft()
