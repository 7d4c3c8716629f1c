"""The markets and assets there are, asked for once a while and shared by all readers (single flight)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from chassis.clock import Clock

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """The answer of `ask`, at most `fresh_seconds` old. One question at a time, however many wait for it."""

    def __init__(self, ask: Callable[[], Awaitable[T]], clock: Clock, *, fresh_seconds: float) -> None:
        self._ask = ask
        self._clock = clock
        self._fresh_seconds = fresh_seconds
        self._asking = asyncio.Lock()
        self._answer: T | None = None
        self._answered_at = 0.0

    async def get(self) -> T:
        """Errors as of `ask`."""
        answer = self._current()
        if answer is not None:
            return answer
        async with self._asking:
            answer = self._current()
            if answer is None:
                answer = self._answer = await self._ask()
                self._answered_at = self._clock.monotonic()
            return answer

    def latest(self) -> T | None:
        """The last answer, however old; None before the first."""
        return self._answer

    def _current(self) -> T | None:
        fresh = self._clock.monotonic() - self._answered_at < self._fresh_seconds
        return self._answer if fresh else None
