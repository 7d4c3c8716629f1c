from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.email_address import email_address
from auth.domain.errors import UserNotFound
from auth.domain.roles import known_role
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.ports import Transactions, Users
from auth.use_cases.record_audit import RecordAudit

log = get_logger(__name__)


class RevokeRole:
    """Takes a role away and ends the user's sessions, whose tokens would permit it for up to half an hour more."""

    def __init__(
        self, *, users: Users, end_sessions: EndSessions, record_audit: RecordAudit, transactions: Transactions
    ) -> None:
        self._users = users
        self._end_sessions = end_sessions
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, email: str, role: str) -> bool:
        """False where the account did not have it. Raises InvalidEmail, UnknownRole, UserNotFound."""
        name = known_role(role)
        user = await self._users.by_email(email_address(email))
        if user is None:
            raise UserNotFound

        async def revoke() -> bool:
            if not await self._users.remove_role(user.id, name):
                return False
            await self._record_audit(AuditAction.ROLE_REVOKED, user_id=user.id, resource=f"role:{name}")
            return True

        # Before, so that a process that dies half-way leaves no session that still may; after, for what was opened or
        # refreshed in between. Also where the role was gone.
        await self._end_sessions(user.id, why="role_revoked")
        revoked = await self._transactions.run(revoke)
        await self._end_sessions(user.id, why="role_revoked")
        if revoked:
            log.info("Role revoked", event="role_revoked", account_id=str(user.id), role=name)
        return revoked
