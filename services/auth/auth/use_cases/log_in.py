from dataclasses import replace

from chassis.clock import Clock
from chassis.identity import current_caller
from chassis.logs import get_logger

from auth.domain.email_address import EmailAddress, email_address
from auth.domain.errors import AccountLocked, EmailNotVerified, InvalidCredentials
from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.domain.passwords import normal_form
from auth.domain.users import User
from auth.use_cases.open_session import OpenSession, SignedIn
from auth.use_cases.ports import Digests, LoginAttempt, LoginAttempts, LoginThrottles, Passwords, Users

log = get_logger(__name__)


class LogIn:
    """Exchanges an address and its password for a session. Five failures close the address, known or not."""

    def __init__(
        self,
        *,
        users: Users,
        throttles: LoginThrottles,
        attempts: LoginAttempts,
        passwords: Passwords,
        open_session: OpenSession,
        digests: Digests,
        clock: Clock,
    ) -> None:
        self._users = users
        self._throttles = throttles
        self._attempts = attempts
        self._passwords = passwords
        self._open_session = open_session
        self._digests = digests
        self._clock = clock

    async def __call__(self, *, email: str, password: str) -> SignedIn:
        """Raises InvalidEmail, WeakPassword (too long), InvalidCredentials, AccountLocked, EmailNotVerified, TooBusy.

        The first four depend on the input and on the address's failures alone, never on whether it has an account.
        """
        address = email_address(email)
        given = normal_form(password)
        # Refused before the hash: a locked address costs next to nothing, so it cannot be used to keep us busy.
        self._refuse_if_locked(await self._throttles.read(address))
        user = await self._users.by_email(address)
        check = await self._passwords.verify(given, user.password_hash if user else None)
        # Guesses sent in parallel were all hashed before the first of them failed. So the count, not the look above,
        # decides what is told: only a failure that was counted hears that it was one.
        if user is None or not check.right:
            counted = await self._throttles.count_failure(address, self._clock.now())
            self._note(address, user, InvalidCredentials.reason)
            log.info("Sign-in refused", event="sign_in_refused", account_id=str(user.id) if user else None)
            if not counted:
                self._refuse_if_locked(await self._throttles.read(address))
            raise InvalidCredentials
        if not user.email_verified:
            self._refuse_if_locked(await self._throttles.read(address))
            self._note(address, user, EmailNotVerified.reason)
            raise EmailNotVerified
        if check.stronger_hash is not None:
            await self._users.upgrade_password(user.id, old_hash=user.password_hash, new_hash=check.stronger_hash)
        return await self._sign_in(address, user)

    async def _sign_in(self, address: EmailAddress, user: User) -> SignedIn:
        now = self._clock.now()
        if not await self._users.admit(user.id, now):
            # The right one among too many parallel guesses: it must not be told from the wrong ones.
            self._refuse_if_locked(await self._throttles.read(address))
            raise InvalidCredentials
        session = self._open_session.prepare(user)
        await self._open_session.store(session)
        self._note(address, user, "")
        log.info("Signed in", event="user_signed_in", account_id=str(user.id), session_id=str(session.id))
        return self._open_session.signed_in(replace(user, last_login=now, throttle=OPEN), session)

    def _refuse_if_locked(self, throttle: LoginThrottle) -> None:
        seconds = throttle.seconds_locked(self._clock.now())
        if seconds:
            raise AccountLocked(retry_after_seconds=seconds)

    def _note(self, address: EmailAddress, user: User | None, reason: str) -> None:
        self._attempts.note(
            LoginAttempt(
                user_id=user.id if user else None,
                email_digest=self._digests.of_email(address),
                address=current_caller().address,
                succeeded=not reason,
                reason=reason,
                timestamp=self._clock.now(),
            )
        )
