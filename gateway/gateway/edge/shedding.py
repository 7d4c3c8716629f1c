"""Who is turned away first when more comes than can be done: a queue would only make all of them late."""

from collections.abc import Awaitable
from enum import StrEnum
from typing import TypeVar

from prometheus_client import Counter, Gauge

from gateway.errors import unavailable

IN_FLIGHT = Gauge("cryptovault_http_requests_in_flight", "HTTP requests being answered now")
SHED = Counter("cryptovault_http_requests_shed", "HTTP requests turned away under load", ["urgency"])


T = TypeVar("T")


class Urgency(StrEnum):
    READ = "read"  # can be asked again, and prices have a way of their own
    ORDER = "order"  # and all else that changes something
    CANCEL = "cancel"  # takes risk away, which nobody may be kept from
    HEALTH = "health"  # supervisors, who would else end a process that only has much to do


# Of the requests that may be at work: up to here each is let in. The last tenth is for cancels alone.
_TENTHS = {Urgency.READ: 7, Urgency.ORDER: 9, Urgency.CANCEL: 10}


class LoadShedder:
    """Counts requests at work, of which there are at most `in_flight_max`."""

    def __init__(self, in_flight_max: int) -> None:
        self._limits = {urgency: max(1, in_flight_max * tenths // 10) for urgency, tenths in _TENTHS.items()}
        self._in_flight = 0

    def begin(self) -> None:
        self._in_flight += 1
        IN_FLIGHT.set(self._in_flight)

    def end(self) -> None:
        self._in_flight -= 1
        IN_FLIGHT.set(self._in_flight)

    def require_room(self, urgency: Urgency) -> None:
        """For a request that has begun. Raises PublicError (503, with Retry-After)."""
        if self._in_flight > self._limits.get(urgency, self._in_flight):
            SHED.labels(urgency).inc()
            raise unavailable("Too many requests are at work. Please try again.", reason="overloaded")


class Place:
    """One request's among those at work, which it leaves for as long as its client is waited for.

    What is limited is what we do at once. Bodies that do not come and replies that nobody reads are limited in time and
    as connections; as requests at work a few hundred of them would have everybody else turned away.
    """

    def __init__(self, shedder: LoadShedder) -> None:
        self._shedder = shedder
        self._waits = 0  # a reply may be written while the end of the connection is awaited

    def take(self) -> None:
        self._shedder.begin()

    def leave(self) -> None:
        self._shedder.end()

    async def wait_for(self, client: Awaitable[T]) -> T:
        self._waits += 1
        if self._waits == 1:
            self.leave()
        try:
            return await client
        finally:
            self._waits -= 1
            if self._waits == 0:
                self.take()
