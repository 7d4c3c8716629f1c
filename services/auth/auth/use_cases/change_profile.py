from dataclasses import replace

from auth.domain.audit import AuditAction
from auth.domain.users import User, display_name
from auth.use_cases.get_user import GetUser
from auth.use_cases.ports import Transactions, Users
from auth.use_cases.record_audit import RecordAudit


class ChangeProfile:
    """What callers say of themselves: for now, the name that mails greet them by."""

    def __init__(
        self, *, users: Users, get_user: GetUser, record_audit: RecordAudit, transactions: Transactions
    ) -> None:
        self._users = users
        self._get_user = get_user
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, name: str) -> User:
        """The profile after it. Raises NotSignedIn, SessionEnded, InvalidName."""
        chosen = display_name(name)
        user = await self._get_user()
        if chosen == user.name:
            return user

        async def change() -> None:
            await self._users.rename(user.id, chosen)
            await self._record_audit(AuditAction.PROFILE_CHANGED, user_id=user.id)

        await self._transactions.run(change)
        return replace(user, name=chosen)
