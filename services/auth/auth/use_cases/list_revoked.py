from collections.abc import Collection, Sequence
from uuid import UUID

from chassis.errors import InvalidArgument

from auth.use_cases.ports import RevokedSessions

IDS_MAX = 256  # of the sockets of one gateway; nearly always it is one


class ListRevoked:
    """Which sessions and API keys have ended, of those that a gateway asks for where Redis does not know."""

    def __init__(self, *, revoked: RevokedSessions) -> None:
        self._revoked = revoked

    async def __call__(self, *, ids: Sequence[UUID]) -> Collection[UUID]:
        """Raises InvalidArgument."""
        if len(ids) > IDS_MAX:
            raise InvalidArgument(f"One asks for at most {IDS_MAX} at once.", field="ids", rule="max_length")
        return await self._revoked.among(ids)
