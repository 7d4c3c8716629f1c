from uuid import UUID

from chassis.identity import NotSignedIn, current_caller
from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.errors import PasswordUnchanged, WrongPassword
from auth.domain.notices import NoticeEvent
from auth.domain.passwords import new_password, normal_form
from auth.use_cases.crypto_ports import Passwords
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import Transactions, Users
from auth.use_cases.prove_password import ProvePassword
from auth.use_cases.record_audit import RecordAudit
from auth.use_cases.require_step_up import RequireStepUp

log = get_logger(__name__)


class ChangePassword:
    """Exchanges the caller's password for a new one and ends their other sessions."""

    def __init__(
        self,
        *,
        users: Users,
        passwords: Passwords,
        prove_password: ProvePassword,
        end_sessions: EndSessions,
        notify_owner: NotifyOwner,
        require_step_up: RequireStepUp,
        record_audit: RecordAudit,
        transactions: Transactions,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._prove_password = prove_password
        self._end_sessions = end_sessions
        self._notify_owner = notify_owner
        self._require_step_up = require_step_up
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, current_password: str, password: str) -> None:
        """Raises NotSignedIn, StepUpRequired (where a second factor is on), WeakPassword, WrongPassword, AccountLocked,
        PasswordUnchanged, TooBusy.
        """
        caller = current_caller()
        user = await self._users.by_id(UUID(caller.required_user()))
        if user is None:
            raise NotSignedIn
        if user.two_factor_enabled:
            await self._require_step_up()
        chosen = new_password(password, email=user.email)
        given = normal_form(current_password)
        await self._prove_password(user, given)
        if chosen == given:
            raise PasswordUnchanged
        new_hash = await self._passwords.hash(chosen)

        async def change() -> bool:
            if not await self._users.replace_password(user.id, old_hash=user.password_hash, new_hash=new_hash):
                return False
            await self._record_audit(AuditAction.PASSWORD_CHANGED, user_id=user.id)
            return True

        own = UUID(caller.session_id) if caller.session_id else None
        # Before, so that a process that dies half-way leaves no session of the old password; after, for one that was
        # opened with it in between.
        await self._end_sessions(user.id, why="password_changed", but=own)
        if not await self._transactions.run(change):
            raise WrongPassword
        await self._end_sessions(user.id, why="password_changed", but=own)
        self._notify_owner(user, NoticeEvent.PASSWORD_CHANGED)
        log.info("Password changed", event="password_changed", account_id=str(user.id))
