from dataclasses import replace

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.devices import NO_DEVICE, Device
from auth.domain.errors import AccountFrozen, ChallengeExpired, WrongSignInCode
from auth.domain.login_throttle import OPEN
from auth.use_cases.crypto_ports import DeviceTokens, Tickets
from auth.use_cases.note_attempt import NoteAttempt
from auth.use_cases.notice_device import NoticeDevice
from auth.use_cases.open_session import OpenSession, SignedIn
from auth.use_cases.ports import Users
from auth.use_cases.prove_second_factor import ProveSecondFactor

log = get_logger(__name__)


class AnswerChallenge:
    """The second half of a sign-in: the challenge that a right password got, and a second factor."""

    def __init__(
        self,
        *,
        users: Users,
        challenges: Tickets,
        prove_second_factor: ProveSecondFactor,
        open_session: OpenSession,
        device_tokens: DeviceTokens,
        note_attempt: NoteAttempt,
        notice_device: NoticeDevice,
        clock: Clock,
    ) -> None:
        self._users = users
        self._challenges = challenges
        self._prove_second_factor = prove_second_factor
        self._open_session = open_session
        self._device_tokens = device_tokens
        self._note_attempt = note_attempt
        self._notice_device = notice_device
        self._clock = clock

    async def __call__(self, *, challenge: str, code: str, device: Device = NO_DEVICE) -> SignedIn:
        """Raises ChallengeExpired, AccountFrozen, MalformedCode, WrongSignInCode, SecondFactorLocked."""
        user_id = self._challenges.user_of(challenge)
        user = await self._users.by_id(user_id) if user_id else None
        if user is None or not self._challenges.is_good(challenge, user, self._clock.now()):
            raise ChallengeExpired
        if user.frozen_at is not None:
            raise AccountFrozen
        known = self._device_tokens.read(user, device.token)
        if not await self._prove_second_factor(user, code, known):
            self._note_attempt(user.email, user, WrongSignInCode.reason)
            raise WrongSignInCode
        now = self._clock.now()
        # Both factors were right, so nobody is guessing at this account who is not its owner.
        await self._users.note_sign_in(user.id, now)
        session = self._open_session.prepare(user, device)
        if known is None:
            await self._notice_device(user, session)
        if not await self._open_session.store_unless_overtaken(session, user, by="second factor"):
            raise ChallengeExpired
        self._note_attempt(user.email, user)
        log.info("Signed in", event="user_signed_in", account_id=str(user.id), session_id=str(session.id))
        return self._open_session.signed_in(replace(user, last_login=now, throttle=OPEN), session)
