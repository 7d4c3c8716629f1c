from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.email_address import email_address
from auth.domain.errors import CodeExpired
from auth.domain.notices import NoticeEvent
from auth.domain.one_time_codes import CodePurpose, parse_code
from auth.domain.passwords import new_password
from auth.use_cases.crypto_ports import Passwords
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import Transactions, Users
from auth.use_cases.record_audit import RecordAudit
from auth.use_cases.revoke_api_keys import RevokeApiKeys
from auth.use_cases.spend_code import SpendCode

log = get_logger(__name__)


class ResetPassword:
    """Sets a new password by the code from the mail, opens a locked address and a frozen account, ends all sessions.

    A second factor stays on: whoever has the mailbox alone must not get past it.
    """

    def __init__(
        self,
        *,
        users: Users,
        passwords: Passwords,
        spend_code: SpendCode,
        revoke_api_keys: RevokeApiKeys,
        end_sessions: EndSessions,
        notify_owner: NotifyOwner,
        record_audit: RecordAudit,
        transactions: Transactions,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._spend_code = spend_code
        self._revoke_api_keys = revoke_api_keys
        self._end_sessions = end_sessions
        self._notify_owner = notify_owner
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, email: str, code: str, password: str) -> None:
        """Raises InvalidEmail, MalformedCode, WeakPassword, InvalidCode, CodeExpired, TooManyAttempts, TooBusy: the
        same for every address.
        """
        address = email_address(email)
        digits = parse_code(code)
        # Hashed before the code is looked at: a right one is not spent where too many wait, and all cost the same.
        password_hash = await self._passwords.hash(new_password(password, email=address))
        await self._spend_code(CodePurpose.RESET_PASSWORD, address, digits)
        user = await self._users.by_email(address)
        if user is None or not user.email_verified:
            raise CodeExpired
        account = user

        async def change() -> bool:
            await self._users.set_password(account.id, password_hash)
            unfrozen = await self._users.unfreeze(account.id)
            if unfrozen:
                await self._record_audit(AuditAction.ACCOUNT_UNFROZEN, user_id=account.id)
            await self._record_audit(AuditAction.PASSWORD_RESET, user_id=account.id)
            return unfrozen

        # Who resets it may have lost the account for a while. Before, so that a process that dies half-way leaves no
        # session and no key of then; after, for what was opened or made in between.
        await self._end_sessions(account.id, why="password_reset")
        await self._revoke_api_keys.all_of(account.id, why="password_reset")
        unfrozen = await self._transactions.run(change)
        await self._end_sessions(account.id, why="password_reset")
        await self._revoke_api_keys.all_of(account.id, why="password_reset")
        if unfrozen:
            self._notify_owner(account, NoticeEvent.ACCOUNT_UNFROZEN)
        # A mailbox alone takes no second factor off; but where it is not the owner's, the owner has to hear of it.
        factor_stays = account.two_factor_enabled
        event = NoticeEvent.PASSWORD_RESET_TWO_FACTOR_ON if factor_stays else NoticeEvent.PASSWORD_RESET
        self._notify_owner(account, event)
        log.info("Password reset", event="password_reset", account_id=str(account.id))
