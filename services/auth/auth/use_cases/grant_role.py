from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.email_address import email_address
from auth.domain.errors import UserNotFound
from auth.domain.roles import known_role
from auth.use_cases.ports import Transactions, Users
from auth.use_cases.record_audit import RecordAudit

log = get_logger(__name__)


class GrantRole:
    """Gives a verified account one role more. It counts from the user's next refresh or sign-in."""

    def __init__(self, *, users: Users, record_audit: RecordAudit, transactions: Transactions) -> None:
        self._users = users
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, email: str, role: str) -> bool:
        """False where the account had it already. Raises InvalidEmail, UnknownRole, UserNotFound."""
        name = known_role(role)
        user = await self._users.by_email(email_address(email))
        # Nobody has proven an unverified address: its account could turn out to be anybody's.
        if user is None or not user.email_verified:
            raise UserNotFound

        async def grant() -> bool:
            if not await self._users.add_role(user.id, name):
                return False
            await self._record_audit(AuditAction.ROLE_GRANTED, user_id=user.id, resource=f"role:{name}")
            return True

        granted = await self._transactions.run(grant)
        if granted:
            log.info("Role granted", event="role_granted", account_id=str(user.id), role=name)
        return granted
