from dataclasses import dataclass
from datetime import datetime
from functools import partial

from chassis.clock import Clock
from chassis.ids import Ids
from chassis.logs import get_logger

from auth.domain.email_address import EmailAddress
from auth.domain.one_time_codes import CODE_DIGITS, CODE_LIFETIME, CodePurpose, code_digits
from auth.domain.users import User
from auth.use_cases.crypto_ports import Digests, Randomness
from auth.use_cases.ports import CodeMessage, Codes, Courier, Errands

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decoy:
    """What is there to be guessed at, and until when; so long lives a code that takes its place."""

    digest: str
    ends_at: datetime


class IssueCode:
    """Makes a code live and sends it on its way, or does what looks the same from outside.

    In two steps, so that nobody learns by guessing in between whether there is somebody to send one to: a decoy that
    every address gets before it is looked up, and for some the code in its place.
    """

    def __init__(
        self,
        *,
        codes: Codes,
        courier: Courier,
        errands: Errands,
        digests: Digests,
        randomness: Randomness,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._codes = codes
        self._courier = courier
        self._errands = errands
        self._digests = digests
        self._randomness = randomness
        self._clock = clock
        self._ids = ids

    async def decoy(self, email: EmailAddress, purpose: CodePurpose = CodePurpose.VERIFY_EMAIL) -> Decoy:
        """Takes the place of the code before. Counts tries like a live one and matches nothing: guessing at any address
        looks the same.
        """
        decoy = Decoy(self._randomness.bytes(32).hex(), self._clock.now() + CODE_LIFETIME)
        await self._codes.put(purpose, email, decoy.digest)
        return decoy

    async def to(self, user: User, decoy: Decoy, purpose: CodePurpose = CodePurpose.VERIFY_EMAIL) -> None:
        """A live code in the place of the decoy, sent by mail. The code is in the clear nowhere but in the message.

        Where the decoy is gone nothing is sent: it has ended, or somebody asked again and theirs is on its way.
        """
        code = code_digits(self._randomness.below(10**CODE_DIGITS))
        digest = self._digests.of_code(purpose, user.email, code)
        if not await self._codes.replace(purpose, user.email, before=decoy.digest, after=digest):
            log.info("Code overtaken", event="code_overtaken", account_id=str(user.id), purpose=purpose.value)
            return
        self._send(user, code, purpose, decoy.ends_at)
        log.info("Code issued", event="code_issued", account_id=str(user.id), purpose=purpose.value)

    def already_registered(self, user: User) -> None:
        """The owner of a known address hears of the attempt; who made it sees what a new address would show."""
        self._send(user, "", CodePurpose.ALREADY_REGISTERED, self._clock.now() + CODE_LIFETIME)

    def _send(self, user: User, code: str, purpose: CodePurpose, expires_at: datetime) -> None:
        message = CodeMessage(
            message_id=self._ids.new(),
            user_id=user.id,
            email=user.email,
            name=user.name,
            code=code,
            purpose=purpose,
            expires_at=expires_at,
        )
        self._errands.hand_over("send_code", partial(self._courier.send, message))
