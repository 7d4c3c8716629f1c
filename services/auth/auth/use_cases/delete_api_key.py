from uuid import UUID

from chassis.identity import current_caller

from auth.domain.errors import ApiKeyNotFound
from auth.use_cases.ports import ApiKeys
from auth.use_cases.revoke_api_keys import RevokeApiKeys


class DeleteApiKey:
    """Ends one key of the caller, within a second at every gateway. Another user's is as if there were none."""

    def __init__(self, *, api_keys: ApiKeys, revoke_api_keys: RevokeApiKeys) -> None:
        self._api_keys = api_keys
        self._revoke_api_keys = revoke_api_keys

    async def __call__(self, *, key_id: UUID) -> None:
        """Raises NotSignedIn, ApiKeyNotFound."""
        user_id = UUID(current_caller().required_user())
        key = await self._api_keys.by_id(key_id)
        if key is None or key.user_id != user_id:
            raise ApiKeyNotFound
        await self._revoke_api_keys([key], why="deleted_by_owner")
