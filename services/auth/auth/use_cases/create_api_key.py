import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from chassis.clock import Clock
from chassis.identity import NotSignedIn, current_caller
from chassis.ids import Ids
from chassis.logs import get_logger

from auth.domain.api_keys import KEYS_MAX, SECRET_BYTES, ApiKey, key_end, key_name, key_networks, key_scopes
from auth.domain.audit import AuditAction
from auth.domain.errors import TooManyApiKeys
from auth.domain.notices import NoticeEvent
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.crypto_ports import Randomness, Seal
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import ApiKeys, Transactions, Users
from auth.use_cases.record_audit import RecordAudit

SECRET_PURPOSE = "api-key"  # noqa: S105 - what the seal is for

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CreatedKey:
    """`secret` is shown this once."""

    key: ApiKey
    secret: str = field(repr=False)


class CreateApiKey:
    """Makes a key for the caller's programs. Whoever calls this has made sure of a fresh second factor."""

    def __init__(
        self,
        *,
        users: Users,
        api_keys: ApiKeys,
        seal: Seal,
        randomness: Randomness,
        callers_device: CallersDevice,
        notify_owner: NotifyOwner,
        record_audit: RecordAudit,
        transactions: Transactions,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._users = users
        self._api_keys = api_keys
        self._seal = seal
        self._randomness = randomness
        self._callers_device = callers_device
        self._notify_owner = notify_owner
        self._record_audit = record_audit
        self._transactions = transactions
        self._clock = clock
        self._ids = ids

    async def __call__(
        self, *, name: str, scopes: Sequence[str], networks: Sequence[str], expires_at: datetime | None
    ) -> CreatedKey:
        """Raises NotSignedIn, InvalidApiKey, TooManyApiKeys."""
        user = await self._users.by_id(UUID(current_caller().required_user()))
        if user is None:
            raise NotSignedIn
        now = self._clock.now()
        secret = base64.urlsafe_b64encode(self._randomness.bytes(SECRET_BYTES)).rstrip(b"=").decode()
        key_id = self._ids.new()
        key = ApiKey(
            id=key_id,
            user_id=user.id,
            name=key_name(name),
            scopes=key_scopes(scopes),
            networks=key_networks(networks, scopes=scopes),
            secret=self._seal.close(secret.encode(), purpose=SECRET_PURPOSE, owner=str(key_id)),
            created_at=now,
            expires_at=key_end(expires_at, now),
        )

        async def create() -> None:
            # Raises where the session is over. Asked here, since a reset ends sessions and then keys: of a key that is
            # made meanwhile the one sees the other, as both end in one audit stream.
            await self._callers_device()
            # Counted here: of two that are made at once the one sees the other, since both end in one audit stream.
            if len(await self._api_keys.of_user(user.id, KEYS_MAX)) >= KEYS_MAX:
                raise TooManyApiKeys(maximum=KEYS_MAX)
            await self._api_keys.add(key)
            await self._record_audit(
                AuditAction.API_KEY_CREATED,
                user_id=user.id,
                resource=f"api-key:{key.id}",
                scopes=" ".join(key.scopes),
                networks=" ".join(key.networks),
            )

        await self._transactions.run(create)
        self._notify_owner(user, NoticeEvent.API_KEY_CREATED, subject=f"{key.name} ({', '.join(key.scopes)})")
        log.info("API key created", event="api_key_created", account_id=str(user.id), key_id=str(key.id))
        return CreatedKey(key, secret)
