"""One user's past in stretches of time, the newest first, none with many rows in it.

A server that sorts all there is, to answer with "the newest before", pays for a user's whole history with each page. So
it is asked for a stretch, bounded on both sides, whose width is not guessed: a user's balance points say when their
every 32nd event was, and nobody has more orders than events, be they a thousand an hour or two a year.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trading.storage.balance_points import EVENTS_PER_POINT, BalancePoints

# Most that a window grows to while the page is not full. The local server reads 20 rows in a millisecond.
EVENTS_PER_WINDOW_MAX = 512
MARKS_PER_LOOK = 8


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of one moment are never in two of them."""

    since: datetime | None  # included; None is the beginning
    until: datetime | None  # excluded; None is the end

    @property
    def query(self) -> dict[str, Any]:
        """Of the field that has the time; empty for all."""
        bounds = {"$gte": self.since, "$lt": self.until}
        return {operator: time for operator, time in bounds.items() if time is not None}


class TimeWindows:
    """Each begins where the one before ended; the last has no `since`."""

    def __init__(
        self, points: BalancePoints, user_id: str, *, newest: int, until: datetime | None, events: int
    ) -> None:
        """`newest` is the user's newest event. The first window has that many events, the next twice as many, ..."""
        self._points = points
        self._user_id = user_id
        self._sequence = newest
        self._searched = until is None
        self._until = until
        self._events = -(-events // EVENTS_PER_POINT) * EVENTS_PER_POINT
        self._marks: deque[datetime] = deque()

    async def next(self) -> Window:
        """Costs no question for most; not to be asked after the last."""
        if not self._searched and self._until is not None:
            self._sequence = await self._points.newest_before(self._user_id, self._until, newest=self._sequence)
            self._searched = True
        since = await self._next_mark()
        window = Window(since, self._until)
        self._until = since
        return window

    async def _next_mark(self) -> datetime | None:
        while True:
            while self._marks:
                mark = self._marks.popleft()
                # More events than a window has may be of one moment.
                if self._until is None or mark < self._until:
                    return mark
            if self._sequence <= 0:
                return None
            await self._look()

    async def _look(self) -> None:
        self._sequence -= self._sequence % EVENTS_PER_POINT
        wanted: list[int] = []
        while self._sequence > 0 and len(wanted) < MARKS_PER_LOOK:
            self._sequence -= self._events
            self._events = min(2 * self._events, EVENTS_PER_WINDOW_MAX)
            if self._sequence > 0:
                wanted.append(self._sequence)
        times = await self._points.times(self._user_id, wanted)
        # The newest points may not be written yet: then two windows are one.
        self._marks.extend(times[sequence] for sequence in wanted if sequence in times)
