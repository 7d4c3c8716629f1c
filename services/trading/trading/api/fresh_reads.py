"""Reads that wait, within their caller's time, until the projection holds what the caller has done."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chassis.errors import ErrorKind, ServiceError, Unavailable

from trading.journal.store import JournalUnreachable
from trading.projector.projector import Projector

FRESHNESS_SECONDS_MAX = 1.0
ANSWERING_SECONDS = 0.2  # of the caller's deadline, kept for the query itself


class ProjectionBehind(ServiceError):
    """What is not here may be in a batch that is not here yet: "not found" would invite a second order."""

    kind = ErrorKind.UNAVAILABLE
    reason = "history_behind"

    def __init__(self) -> None:
        super().__init__("The newest entries cannot be looked up just now; ask again.")


async def is_fresh(projector: Projector, batch: int, context: Any) -> bool:
    """True once that batch is in the projection, False when it takes too long."""
    return await projector.reached(batch, min(FRESHNESS_SECONDS_MAX, time_left(context)))


def time_left(context: Any) -> float:
    """Seconds that a read may wait before it must answer."""
    remaining = context.time_remaining()
    return FRESHNESS_SECONDS_MAX if remaining is None else max(0.0, remaining - ANSWERING_SECONDS)


@contextmanager
def answering() -> Iterator[None]:
    """Around reads of the journal itself."""
    try:
        yield
    except JournalUnreachable as error:
        raise Unavailable("The journal cannot be read.") from error
