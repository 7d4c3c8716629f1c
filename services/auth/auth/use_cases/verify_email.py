from dataclasses import replace

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.email_address import EmailAddress, email_address
from auth.domain.errors import CodeExpired, InvalidCode, TooManyAttempts
from auth.domain.one_time_codes import CodeVerdict, parse_code
from auth.domain.users import NO_PASSWORD
from auth.use_cases.open_session import OpenSession, SignedIn
from auth.use_cases.ports import Announcements, Codes, Digests, Transactions, Users

log = get_logger(__name__)


class VerifyEmail:
    """Takes the code from the mail, marks the address proven and signs in. Tells `UserVerified` once per user."""

    def __init__(
        self,
        *,
        users: Users,
        codes: Codes,
        open_session: OpenSession,
        announcements: Announcements,
        transactions: Transactions,
        digests: Digests,
        clock: Clock,
    ) -> None:
        self._users = users
        self._codes = codes
        self._open_session = open_session
        self._announcements = announcements
        self._transactions = transactions
        self._digests = digests
        self._clock = clock

    async def __call__(self, *, email: str, code: str) -> SignedIn:
        """Raises InvalidEmail, MalformedCode, InvalidCode, CodeExpired, TooManyAttempts: the same for every address."""
        address = email_address(email)
        await self._spend(address, parse_code(code))
        user = await self._users.by_email(address)
        if user is None:
            raise CodeExpired
        session = self._open_session.prepare(user)
        now = self._clock.now()

        async def proven() -> bool:
            first_time = await self._users.mark_verified(user.id)
            if first_time:
                await self._announcements.user_verified(user.id, now)
            await self._users.note_sign_in(user.id, now)
            await self._open_session.store(session)
            return first_time

        first_time = await self._transactions.run(proven)
        log.info(
            "Address verified",
            event="user_verified",
            account_id=str(user.id),
            session_id=str(session.id),
            first_time=first_time,
            password_disputed=user.password_hash == NO_PASSWORD,
        )
        return self._open_session.signed_in(replace(user, email_verified=True, last_login=now, claim=None), session)

    async def _spend(self, address: EmailAddress, digits: str) -> None:
        check = await self._codes.check(address, self._digests.of_code(address, digits))
        if check.verdict is CodeVerdict.ACCEPTED:
            return
        log.info("Code refused", event="code_refused", verdict=check.verdict.value)
        if check.verdict is CodeVerdict.WRONG:
            raise InvalidCode(tries_left=check.tries_left)
        if check.verdict is CodeVerdict.EXHAUSTED:
            raise TooManyAttempts
        raise CodeExpired
