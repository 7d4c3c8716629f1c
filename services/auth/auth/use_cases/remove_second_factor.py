from uuid import UUID

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.email_address import email_address
from auth.domain.errors import UserNotFound
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.ports import Announcements, SecondFactors, Transactions, Users
from auth.use_cases.record_audit import RecordAudit
from auth.use_cases.revoke_api_keys import RevokeApiKeys

log = get_logger(__name__)


class RemoveSecondFactor:
    """Takes the second factor off an account whose owner has lost it, or has never seen it.

    For an operator, who has made sure of who asks. Freezes the account with it, so that only a code to its mailbox
    opens it: neither whoever has the password nor whoever has talked an operator round gets in by this alone.
    """

    def __init__(
        self,
        *,
        users: Users,
        second_factors: SecondFactors,
        end_sessions: EndSessions,
        revoke_api_keys: RevokeApiKeys,
        announcements: Announcements,
        record_audit: RecordAudit,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._users = users
        self._second_factors = second_factors
        self._end_sessions = end_sessions
        self._revoke_api_keys = revoke_api_keys
        self._announcements = announcements
        self._record_audit = record_audit
        self._transactions = transactions
        self._clock = clock

    async def __call__(self, *, email: str) -> bool:
        """False where none is on. Raises InvalidEmail, UserNotFound."""
        user = await self._users.by_email(email_address(email))
        if user is None:
            raise UserNotFound

        now = self._clock.now()

        async def remove() -> bool:
            if not await self._second_factors.disable(user.id):
                return False
            await self._users.set_two_factor(user.id, enabled=False)
            await self._record_audit(AuditAction.TWO_FACTOR_REMOVED, user_id=user.id)
            # The owner's mail hangs on it, and may be the first that they hear of somebody who asks in their name.
            await self._announcements.second_factor_removed(user.id, now)
            if await self._users.freeze(user.id, now):
                await self._record_audit(AuditAction.ACCOUNT_FROZEN, user_id=user.id)
            return True

        # Before, so that a process that dies half-way leaves no session and no key of a frozen account; after, for what
        # was opened or made in between. Also where it was frozen.
        if user.two_factor_enabled or user.frozen_at is not None:
            await self._end_access(user.id)
        removed = await self._transactions.run(remove)
        if removed or user.frozen_at is not None:
            await self._end_access(user.id)
        if removed:
            log.info("Second factor removed", event="two_factor_removed", account_id=str(user.id))
        return removed

    async def _end_access(self, user_id: UUID) -> None:
        await self._end_sessions(user_id, why="two_factor_removed")
        await self._revoke_api_keys.all_of(user_id, why="two_factor_removed")
