"""Private reads see what their user has done before: they ask for the newest batch, or say that they may be behind.

Nothing is remembered from read to read. What another gateway sent, or what is still under way, passes the leader alone.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from chassis.errors import ErrorKind, RemoteError
from starlette.requests import Request

from gateway.edge.facts import facts_of
from gateway.errors import unavailable

BEHIND_HEADER = "X-Data-Behind"
_BEHIND = (BEHIND_HEADER.lower().encode(), b"true")


class Freshness:
    """`ask_newest_batch` answers from the leader's memory, for the current caller."""

    def __init__(self, ask_newest_batch: Callable[[], Awaitable[int]]) -> None:
        self._ask_newest_batch = ask_newest_batch

    async def needed(self, request: Request) -> int:
        """The batch this read must have reached. Where trading is silent: 0, and the reply says that it may lag."""
        try:
            return await self._ask_newest_batch()
        except RemoteError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            self.report(request, behind=True)
            return 0

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
