import asyncio
from dataclasses import replace

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.devices import NO_DEVICE, Device, KnownDevice
from auth.domain.email_address import EmailAddress, email_address
from auth.domain.errors import AccountFrozen, AccountLocked, InvalidCredentials, MfaRequired
from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.domain.notices import NoticeEvent
from auth.domain.passwords import normal_form
from auth.domain.users import User
from auth.use_cases.crypto_ports import DeviceTokens, Passwords, Tickets
from auth.use_cases.note_attempt import NoteAttempt
from auth.use_cases.notice_device import NoticeDevice
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.open_session import OpenSession, SignedIn
from auth.use_cases.ports import LoginThrottles, Users

# To read an account takes half a millisecond more or less than to find none: behind this it does not show.
LOOKING_SECONDS_MIN = 0.012

log = get_logger(__name__)


class LogIn:
    """Exchanges an address and its password for a session. Five failures close the address, known or not.

    Not for the account's own devices: they prove an earlier sign-in by a token, and have five failures each.
    """

    def __init__(
        self,
        *,
        users: Users,
        throttles: LoginThrottles,
        passwords: Passwords,
        open_session: OpenSession,
        device_tokens: DeviceTokens,
        challenges: Tickets,
        note_attempt: NoteAttempt,
        notice_device: NoticeDevice,
        notify_owner: NotifyOwner,
        clock: Clock,
    ) -> None:
        self._users = users
        self._throttles = throttles
        self._passwords = passwords
        self._open_session = open_session
        self._device_tokens = device_tokens
        self._challenges = challenges
        self._note_attempt = note_attempt
        self._notice_device = notice_device
        self._notify_owner = notify_owner
        self._clock = clock

    async def __call__(self, *, email: str, password: str, device: Device = NO_DEVICE) -> SignedIn:
        """Raises InvalidEmail, WeakPassword (too long), InvalidCredentials, AccountLocked, AccountFrozen, MfaRequired,
        TooBusy.

        The first four depend on the input and on the failures alone, never on whether the address has an account.
        """
        address = email_address(email)
        given = normal_form(password)
        # In a flood, before the database is asked: those who are refused must not slow down everybody else.
        self._passwords.make_sure_of_room()
        (user, known, throttle), _ = await asyncio.gather(
            self._look(address, device), asyncio.sleep(LOOKING_SECONDS_MIN)
        )
        # Refused before the hash: a locked address costs next to nothing, so it cannot be used to keep us busy.
        self._refuse_locked(throttle)
        check = await self._passwords.verify(given, user.password_hash if user else None)
        # Guesses sent in parallel were all hashed before the first of them failed. So the count, not the look above,
        # decides what is told: only a failure that was counted hears that it was one.
        if user is None or not check.right:
            await self._fail(address, user, known)
            raise InvalidCredentials
        if check.stronger_hash is not None:
            if not await self._users.replace_password(
                user.id, old_hash=user.password_hash, new_hash=check.stronger_hash
            ):
                # Another sign-in was first, or the password is another one now: look again.
                return await self(email=email, password=password, device=device)
            # A challenge is bound to the hash that is stored.
            user = replace(user, password_hash=check.stronger_hash)
        if user.frozen_at is not None:
            await self._refuse_if_locked(address, known)
            self._note_attempt(address, user, AccountFrozen.reason)
            raise AccountFrozen
        if user.two_factor_enabled:
            await self._refuse_if_locked(address, known)
            self._note_attempt(address, user, MfaRequired.reason)
            raise MfaRequired(challenge=self._challenges.issue(user, self._clock.now()))
        return await self._sign_in(address, user, device, known)

    async def _look(
        self, address: EmailAddress, device: Device
    ) -> tuple[User | None, KnownDevice | None, LoginThrottle]:
        user = await self._users.by_email(address)
        # Until the address is proven there is no account here: were its password taken, whoever signs an address up and
        # then in would learn whether it had one.
        user = user if user and user.email_verified else None
        # Strangers close an address for each other; a device that has signed in before has a count of its own.
        known = self._device_tokens.read(user, device.token) if user else None
        return user, known, await self._throttles.read(address, known)

    async def _fail(self, address: EmailAddress, user: User | None, known: KnownDevice | None) -> None:
        now = self._clock.now()
        throttle = await self._throttles.count_failure(address, now, known)
        self._note_attempt(address, user, InvalidCredentials.reason)
        log.info("Sign-in refused", event="sign_in_refused", account_id=str(user.id) if user else None)
        if throttle is None:
            await self._refuse_if_locked(address, known)
        elif user is not None and throttle.seconds_locked(now):
            self._notify_owner(user, NoticeEvent.ACCOUNT_LOCKED)

    async def _sign_in(self, address: EmailAddress, user: User, device: Device, known: KnownDevice | None) -> SignedIn:
        now = self._clock.now()
        if known is not None:
            await self._refuse_if_locked(address, known)
            await self._throttles.forget(address, known)
            # The strangers' failures stay counted: the owner's coming and going must not give them new guesses.
            await self._users.note_known_sign_in(user.id, now)
        elif not await self._users.admit(user.id, now):
            # The right one among too many parallel guesses: it must not be told from the wrong ones.
            await self._refuse_if_locked(address, known)
            raise InvalidCredentials
        session = self._open_session.prepare(user, device)
        if known is None:
            await self._notice_device(user, session)
        if not await self._open_session.store_unless_overtaken(session, user, by="password"):
            raise InvalidCredentials
        self._note_attempt(address, user)
        log.info("Signed in", event="user_signed_in", account_id=str(user.id), session_id=str(session.id))
        return self._open_session.signed_in(replace(user, last_login=now, throttle=OPEN), session)

    async def _refuse_if_locked(self, address: EmailAddress, known: KnownDevice | None) -> None:
        self._refuse_locked(await self._throttles.read(address, known))

    def _refuse_locked(self, throttle: LoginThrottle) -> None:
        seconds = throttle.seconds_locked(self._clock.now())
        if seconds:
            raise AccountLocked(retry_after_seconds=seconds)
