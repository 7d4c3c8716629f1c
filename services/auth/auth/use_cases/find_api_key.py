from dataclasses import dataclass, field
from uuid import UUID

from chassis.clock import Clock

from auth.domain.api_keys import ApiKey, permissions_of_key
from auth.domain.errors import ApiKeyNotFound
from auth.use_cases.create_api_key import SECRET_PURPOSE
from auth.use_cases.crypto_ports import Seal
from auth.use_cases.ports import ApiKeys, Users


@dataclass(frozen=True, slots=True)
class UsableKey:
    """With what verifies its signatures, and what it may do at this moment."""

    key: ApiKey
    permissions: tuple[str, ...]
    secret: str = field(repr=False)


class FindApiKey:
    """What the gateway needs to verify a key's requests. Being asked counts as a use: it asks once a minute at most."""

    def __init__(self, *, users: Users, api_keys: ApiKeys, seal: Seal, clock: Clock) -> None:
        self._users = users
        self._api_keys = api_keys
        self._seal = seal
        self._clock = clock

    async def __call__(self, *, key_id: UUID) -> UsableKey:
        """Raises ApiKeyNotFound, also for a key that has ended or whose owner's account is frozen."""
        now = self._clock.now()
        key = await self._api_keys.by_id(key_id)
        if key is None or key.is_expired(now):
            raise ApiKeyNotFound
        owner = await self._users.by_id(key.user_id)
        if owner is None or owner.frozen_at is not None:
            raise ApiKeyNotFound
        await self._api_keys.note_use(key.id, now)
        secret = self._seal.open(key.secret, purpose=SECRET_PURPOSE, owner=str(key.id)).decode()
        return UsableKey(key, permissions_of_key(key.scopes, owner.permissions), secret)
