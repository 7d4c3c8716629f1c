"""The markets and assets there are, asked for once a while and shared by all readers (single flight)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from chassis.clock import Clock

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """The answer of `ask`, at most `fresh_seconds` old and none from before a change that went through here. One
    question at a time, however many wait for it.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], clock: Clock, *, fresh_seconds: float) -> None:
        self._ask = ask
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._asking = asyncio.Lock()
        self._answer: T | None = None
        self._answered_at: float | None = None
        self._changes = 0

    async def get(self) -> T:
        """Errors as of `ask`."""
        answer = self._current()
        if answer is not None:
            return answer
        async with self._asking:
            answer = self._current()
            if answer is None:
                changes = self._changes
                answer = self._answer = await self._ask()
                # What was asked before a change may not know of it: good for who asked then, not for who comes later.
                self._answered_at = self._clock.monotonic() if changes == self._changes else None
            return answer

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Whoever asks after what is done in here hears what it did; also where it failed, since it may have."""
        try:
            yield
        finally:
            self._changes += 1
            self._answered_at = None

    def latest(self) -> T | None:
        """The last answer, however old; None before the first."""
        return self._answer

    def _current(self) -> T | None:
        if self._answered_at is None:
            return None
        fresh = self._clock.monotonic() - self._answered_at < self._fresh_seconds
        return self._answer if fresh else None
