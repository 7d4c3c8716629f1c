from collections.abc import Sequence
from uuid import UUID

from chassis.identity import current_caller

from auth.domain.api_keys import KEYS_MAX, ApiKey
from auth.use_cases.ports import ApiKeys


class ListApiKeys:
    """The caller's keys, newest first."""

    def __init__(self, *, api_keys: ApiKeys) -> None:
        self._api_keys = api_keys

    async def __call__(self) -> Sequence[ApiKey]:
        """Raises NotSignedIn."""
        return await self._api_keys.of_user(UUID(current_caller().required_user()), KEYS_MAX)
