"""How long the work that runs now may take: what we ask of others never outlives what was asked of us."""

import time
from contextvars import ContextVar

# Monotonic seconds at which the caller stops listening.
_deadline: ContextVar[float | None] = ContextVar("cryptovault_deadline", default=None)


def set_deadline(remaining_seconds: float | None) -> None:
    """For the rest of this task."""
    _deadline.set(None if remaining_seconds is None else time.monotonic() + remaining_seconds)


def bounded(seconds: float) -> float:
    """`seconds`, or what is left of the caller's deadline where that is less; never negative."""
    deadline = _deadline.get()
    return seconds if deadline is None else max(0.0, min(seconds, deadline - time.monotonic()))
