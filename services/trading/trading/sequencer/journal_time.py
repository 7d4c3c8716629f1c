"""The time that batches and prices carry: the wall clock's, watched by the monotonic one."""

from chassis.clock import Clock
from chassis.errors import MustEnd
from chassis.logs import get_logger

from trading.domain.moments import milliseconds_of

# A slewed clock keeps both together; only a step, or a machine that slept, pulls them apart.
APART_MILLISECONDS_MAX = 500

log = get_logger(__name__)


class ClockTorn(MustEnd):
    """Wall and monotonic clock no longer agree: this process cannot say what time it is, and must end."""

    def __init__(self, apart_milliseconds: int) -> None:
        super().__init__(f"the wall clock jumped by {apart_milliseconds} ms")


class JournalTime:
    """Milliseconds since 1970, never behind the journal's newest batch.

    A wall clock that was wrong in an earlier life may have left the journal ahead of it. Time then goes on from the
    journal's, at the clock's pace: it neither goes back nor stands still. Prices are stamped with it too, so that they
    do not look stale until the wall clock has caught up.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_milliseconds = 0
        self._anchor_milliseconds = self._difference()

    def start_after(self, newest_milliseconds: int) -> None:
        """To be called when this process begins to lead: from now on both clocks are compared with now."""
        self._anchor_milliseconds = self._difference()
        self._ahead_milliseconds = max(0, newest_milliseconds - self.wall())
        if self._ahead_milliseconds > APART_MILLISECONDS_MAX:
            log.error("The journal is ahead of the clock", event="journal_ahead", milliseconds=self._ahead_milliseconds)

    def now(self) -> int:
        return self.wall() + self._ahead_milliseconds

    def wall(self) -> int:
        """What clients and other services mean by a time, such as a deadline."""
        return milliseconds_of(self._clock.now())

    def of_wall(self, wall_milliseconds: int) -> int:
        """That time of the wall clock, as the journal counts."""
        return wall_milliseconds + self._ahead_milliseconds

    def check(self) -> None:
        """Raises `ClockTorn` where the wall clock has jumped since `start_after`."""
        apart = self._difference() - self._anchor_milliseconds
        if abs(apart) > APART_MILLISECONDS_MAX:
            raise ClockTorn(apart)

    def _difference(self) -> int:
        return self.wall() - int(self._clock.monotonic() * 1000)
