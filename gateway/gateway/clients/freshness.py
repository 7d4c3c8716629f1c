"""Private reads see what their user has done before: they ask for the newest batch, or say that they may be behind."""

from chassis.errors import ErrorKind, RemoteError
from starlette.requests import Request

from gateway.clients.newest_batches import NewestBatches
from gateway.edge.facts import facts_of

BEHIND_HEADER = "X-Data-Behind"
_BEHIND = (BEHIND_HEADER.lower().encode(), b"true")


class Freshness:
    def __init__(self, newest_batches: NewestBatches) -> None:
        self._newest_batches = newest_batches

    async def needed(self, request: Request) -> int:
        """The batch this read must have reached. Where trading is silent: 0, and the reply says that it may lag."""
        try:
            return await self._newest_batches.newest(facts_of(request).signed_in_user())
        except RemoteError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            self.report(request, behind=True)
            return 0

    @staticmethod
    def may_lag(request: Request) -> bool:
        """True where `needed` could not be told."""
        return _BEHIND in facts_of(request).reply_headers

    def report(self, request: Request, *, behind: bool) -> None:
        """Say in the reply that it does not yet hold everything."""
        if behind and not self.may_lag(request):
            facts_of(request).reply_headers.append(_BEHIND)
