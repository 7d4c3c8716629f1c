"""Private reads see what their user has done before: they ask for the newest batch, or say that they may be behind.

Nothing is remembered from read to read. What another gateway sent, or what is still under way, passes the leader alone.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from chassis.errors import ErrorKind, RemoteError
from starlette.requests import Request

from gateway.edge.facts import facts_of
from gateway.errors import no_such_event_yet, unavailable

BEHIND_HEADER = "X-Data-Behind"
_BEHIND = (BEHIND_HEADER.lower().encode(), b"true")


class NewestEvent(NamedTuple):
    """Of one user; zeros for none."""

    sequence: int
    batch: int


class Freshness:
    """`ask_newest_event` answers from the leader's memory, for the current caller."""

    def __init__(self, ask_newest_event: Callable[[], Awaitable[NewestEvent]]) -> None:
        self._ask_newest_event = ask_newest_event

    async def needed(self, request: Request, *, after: int = 0) -> int:
        """The batch this read must have reached. Where trading is silent: 0, and the reply says that it may lag.

        PublicError 400 where the event `after` does not exist yet, which only the leader can say: whoever else was told
        of it, the leader was before.
        """
        try:
            newest = await self._ask_newest_event()
        except RemoteError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            self.report(request, behind=True)
            return 0
        if after > newest.sequence:
            raise no_such_event_yet(newest=newest.sequence)
        return newest.batch

    def report(self, request: Request, *, behind: bool) -> None:
        """Say in the reply that it does not yet hold everything."""
        if behind and not _may_lag(request):
            facts_of(request).reply_headers.append(_BEHIND)

    @contextmanager
    def not_found_only_if_known(self, request: Request, *, under_way: bool = False) -> Iterator[None]:
        """Who asks what became of an order must not hear "nothing" from records that may end before it, nor while it is
        `under_way`.
        """
        try:
            yield
        except RemoteError as error:
            if error.kind is ErrorKind.NOT_FOUND and (under_way or _may_lag(request)):
                raise unavailable("The newest entries cannot be looked up just now.", reason="history_behind") from None
            raise


def _may_lag(request: Request) -> bool:
    """True where the batch that is needed could not be told."""
    return _BEHIND in facts_of(request).reply_headers
