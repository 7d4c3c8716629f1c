"""Identifiers as an argument. UUID version 7 (RFC 9562): sorted by time, so that indexes grow at one end."""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

_COUNTER_BITS = 12
_COUNTER_MAX = (1 << _COUNTER_BITS) - 1
# A fresh millisecond starts in the lower half of the counter: 2,048 more ids fit before it must borrow the next one.
_COUNTER_START_BITS = _COUNTER_BITS - 1
_VERSION = 7
_VARIANT = 0b10


class Ids(Protocol):
    def new(self) -> UUID:
        """A UUID version 7 that was never given before."""
        ...


class RandomIds:
    """Strictly increasing within one process, also within a millisecond and when the wall clock steps back."""

    def __init__(self, time_nanoseconds: Callable[[], int] = time.time_ns) -> None:
        self._time_nanoseconds = time_nanoseconds
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._counter = 0

    def new(self) -> UUID:
        now = self._time_nanoseconds() // 1_000_000
        with self._lock:
            if now > self._milliseconds:
                self._milliseconds = now
                self._counter = secrets.randbits(_COUNTER_START_BITS)
            elif self._counter < _COUNTER_MAX:
                self._counter += 1
            else:
                self._milliseconds += 1
                self._counter = 0
            return uuid7(self._milliseconds, self._counter, secrets.randbits(62))


def uuid7(milliseconds: int, counter: int, tail: int) -> UUID:
    """Lay out 48 bits of Unix milliseconds, a 12-bit counter and 62 bits of tail as RFC 9562 section 5.7 says."""
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= _VERSION << 76
    value |= (counter & _COUNTER_MAX) << 64
    value |= _VARIANT << 62
    value |= tail & ((1 << 62) - 1)
    return UUID(int=value)
