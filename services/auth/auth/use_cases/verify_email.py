from dataclasses import replace

from chassis.clock import Clock
from chassis.identity import current_caller
from chassis.logs import get_logger

from auth.domain.devices import NO_DEVICE, Device
from auth.domain.email_address import email_address
from auth.domain.errors import CodeExpired
from auth.domain.one_time_codes import CodePurpose, parse_code
from auth.domain.users import NO_PASSWORD, User, proven_password
from auth.use_cases.crypto_ports import Digests
from auth.use_cases.open_session import OpenSession, SignedIn
from auth.use_cases.ports import Announcements, Transactions, Users
from auth.use_cases.spend_code import SpendCode

log = get_logger(__name__)


class VerifyEmail:
    """Takes the code from the mail, marks the address proven and signs in. Tells `UserVerified` once per user."""

    def __init__(
        self,
        *,
        users: Users,
        spend_code: SpendCode,
        open_session: OpenSession,
        announcements: Announcements,
        transactions: Transactions,
        digests: Digests,
        clock: Clock,
    ) -> None:
        self._users = users
        self._spend_code = spend_code
        self._open_session = open_session
        self._announcements = announcements
        self._transactions = transactions
        self._digests = digests
        self._clock = clock

    async def __call__(self, *, email: str, code: str, device: Device = NO_DEVICE) -> SignedIn:
        """Raises InvalidEmail, MalformedCode, InvalidCode, CodeExpired, TooManyAttempts: the same for every address."""
        address = email_address(email)
        await self._spend_code(CodePurpose.VERIFY_EMAIL, address, parse_code(code))
        user = await self._users.by_email(address)
        if user is None or _is_closed(user):
            raise CodeExpired
        session = self._open_session.prepare(user, device)
        now = self._clock.now()
        # Of the claim as it was after the code was spent: one that is made from here on brings nothing.
        password_hash = proven_password(user, origin=self._digests.of_origin(current_caller().address))

        async def proven() -> bool:
            # Asked again here, since whoever closes the account writes the same row: so of the two one sees the other.
            present = await self._users.by_id(user.id)
            if present is None or _is_closed(present):
                raise CodeExpired
            first_time = await self._users.mark_verified(user.id, password_hash=password_hash)
            if first_time:
                await self._announcements.user_verified(user.id, now)
            await self._users.note_sign_in(user.id, now)
            await self._open_session.store(session, by="code to the mailbox")
            return first_time

        first_time = await self._transactions.run(proven)
        log.info(
            "Address verified",
            event="user_verified",
            account_id=str(user.id),
            session_id=str(session.id),
            first_time=first_time,
            password_disputed=password_hash == NO_PASSWORD,
        )
        return self._open_session.signed_in(replace(user, email_verified=True, last_login=now, claim=None), session)


def _is_closed(user: User) -> bool:
    """Neither can be where the address was not proven: whoever has a code then has come too late."""
    return user.two_factor_enabled or user.frozen_at is not None
