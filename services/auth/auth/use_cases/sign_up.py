import asyncio

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.identity import current_caller
from chassis.ids import Ids
from chassis.logs import get_logger

from auth.domain.email_address import EmailAddress, email_address
from auth.domain.one_time_codes import CodePurpose
from auth.domain.passwords import new_password
from auth.domain.users import User, claimed_again, claimed_user, display_name, with_code_sent
from auth.use_cases.crypto_ports import Digests, Passwords
from auth.use_cases.issue_code import IssueCode
from auth.use_cases.ports import CodeLimits, LoginAttempt, LoginAttempts, Users

RACES_MAX = 5  # others who sign up the same address in the same millisecond
# To store an account takes a moment longer than to note that there is one: behind this it does not show.
CLAIMING_SECONDS_MIN = 0.02

log = get_logger(__name__)


class SignUp:
    """Claims an address and sends a code to it. Says and costs the same for a new, a waiting and a known address.

    The password takes effect when the address is proven; `claimed_again` has the rule for more than one claim.
    """

    def __init__(
        self,
        *,
        users: Users,
        attempts: LoginAttempts,
        passwords: Passwords,
        code_limits: CodeLimits,
        issue_code: IssueCode,
        digests: Digests,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._users = users
        self._attempts = attempts
        self._passwords = passwords
        self._code_limits = code_limits
        self._issue_code = issue_code
        self._digests = digests
        self._clock = clock
        self._ids = ids

    async def __call__(self, *, email: str, password: str, name: str) -> None:
        """Raises InvalidEmail, InvalidName, WeakPassword, TooBusy, Unavailable; each by its input alone."""
        address = email_address(email)
        shown_name = display_name(name)
        # Hashed before anything is looked up: this is what the call costs, whoever owns the address.
        password_hash = await self._passwords.hash(new_password(password, email=address))
        claim = self._claim_address(address, name=shown_name, password_hash=password_hash)
        await asyncio.gather(claim, asyncio.sleep(CLAIMING_SECONDS_MIN))

    async def _claim_address(self, address: EmailAddress, *, name: str, password_hash: str) -> None:
        # Somebody who presses the button again within minutes already has mail: the reply is the same, no more is sent.
        may_send = await self._code_limits.seconds_to_wait(CodePurpose.VERIFY_EMAIL, address) == 0
        decoy = await self._issue_code.decoy(address) if may_send else None
        origin = self._digests.of_origin(current_caller().address)
        for _ in range(RACES_MAX):
            known = await self._users.by_email(address)
            if known is not None and known.email_verified:
                await self._record_attempt(known)
                if decoy is not None:
                    await self._tell_owner(known)
                return
            claimed = self._claim(known, address=address, name=name, password_hash=password_hash, origin=origin)
            counted = with_code_sent(claimed, self._clock.now()) if decoy is not None else None
            stored = counted or claimed
            if not (await self._users.add(stored) if known is None else await self._users.replace_claim(known, stored)):
                continue
            log.info("Address claimed", event="address_claimed", account_id=str(stored.id), again=known is not None)
            if counted is not None and decoy is not None:
                await self._issue_code.to(counted, decoy)
            return
        raise Unavailable("This address is being signed up by somebody else right now.")

    async def _tell_owner(self, known: User) -> None:
        if not await self._code_limits.seconds_to_wait(CodePurpose.ALREADY_REGISTERED, known.email):
            self._issue_code.already_registered(known)

    async def _record_attempt(self, known: User) -> None:
        """Worth knowing for the owner, and one durable write, as on every other path through here."""
        await self._attempts.record(
            LoginAttempt(
                user_id=known.id,
                email_digest=self._digests.of_email(known.email),
                address=current_caller().address,
                succeeded=False,
                reason="already_registered",
                timestamp=self._clock.now(),
            )
        )

    def _claim(self, known: User | None, *, address: EmailAddress, name: str, password_hash: str, origin: str) -> User:
        now = self._clock.now()
        if known is None:
            return claimed_user(
                user_id=self._ids.new(), email=address, name=name, password_hash=password_hash, origin=origin, now=now
            )
        return claimed_again(known, name=name, password_hash=password_hash, origin=origin, now=now)
