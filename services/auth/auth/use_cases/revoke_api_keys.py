from collections.abc import Sequence
from uuid import UUID

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.api_keys import KEYS_MAX, ApiKey
from auth.domain.audit import AuditAction
from auth.domain.sessions import REVOKED_FOR
from auth.use_cases.ports import ApiKeys, RevokedSessions, Transactions
from auth.use_cases.record_audit import RecordAudit

log = get_logger(__name__)


class RevokeApiKeys:
    """Removes keys, and tells the gateways, which remember a key for a while: as with the tokens of a session."""

    def __init__(
        self,
        *,
        api_keys: ApiKeys,
        revoked: RevokedSessions,
        record_audit: RecordAudit,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._api_keys = api_keys
        self._revoked = revoked
        self._record_audit = record_audit
        self._transactions = transactions
        self._clock = clock

    async def all_of(self, user_id: UUID, *, why: str) -> None:
        """Until there is none."""
        while keys := await self._api_keys.of_user(user_id, KEYS_MAX):
            await self(keys, why=why)

    async def __call__(self, keys: Sequence[ApiKey], *, why: str) -> None:
        """All of them or none; one that is gone already is left out."""
        now = self._clock.now()

        async def revoke() -> list[ApiKey]:
            gone = []
            for key in keys:
                if await self._api_keys.remove(key.id):
                    await self._revoked.remember(key.id, user_id=key.user_id, now=now, until=now + REVOKED_FOR)
                    await self._record_audit(
                        AuditAction.API_KEY_REVOKED, user_id=key.user_id, resource=f"api-key:{key.id}", why=why
                    )
                    gone.append(key)
            return gone

        try:
            for key in await self._transactions.run(revoke):
                await self._revoked.publish(key.id, seconds=int(REVOKED_FOR.total_seconds()))
                log.info(
                    "API key revoked", event="api_key_revoked", account_id=str(key.user_id), key_id=str(key.id), why=why
                )
        except BaseException:
            # As with sessions: gone they may be all the same.
            self._revoked.doubt()
            raise
