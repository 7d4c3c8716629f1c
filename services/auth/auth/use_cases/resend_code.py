from functools import partial

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.email_address import EmailAddress, email_address
from auth.domain.errors import CodesTooOften
from auth.domain.one_time_codes import CodePurpose
from auth.domain.users import with_code_sent
from auth.use_cases.issue_code import Decoy, IssueCode
from auth.use_cases.ports import CodeLimits, Errands, Users

RACES_MAX = 5

log = get_logger(__name__)


class ResendCode:
    """A new code for an address that waits for one; for every other address the same reply and nothing more."""

    def __init__(
        self, *, users: Users, code_limits: CodeLimits, issue_code: IssueCode, errands: Errands, clock: Clock
    ) -> None:
        self._users = users
        self._code_limits = code_limits
        self._issue_code = issue_code
        self._errands = errands
        self._clock = clock

    async def __call__(self, *, email: str) -> None:
        """Raises InvalidEmail, CodesTooOften (counted for unknown addresses too), TooBusy."""
        address = email_address(email)
        wait = await self._code_limits.seconds_to_wait(CodePurpose.VERIFY_EMAIL, address)
        if wait:
            raise CodesTooOften(retry_after_seconds=wait)
        decoy = await self._issue_code.decoy(address)
        # After the reply: what is looked up and written differs by address, so the caller must not be able to time it.
        self._errands.hand_over("resend_code", partial(self._resend, address, decoy))

    async def _resend(self, address: EmailAddress, decoy: Decoy) -> None:
        for _ in range(RACES_MAX):
            user = await self._users.by_email(address)
            if user is None or user.email_verified:
                return
            counted = with_code_sent(user, self._clock.now())
            if counted is None:
                log.warning("Codes of the day are used up", event="code_withheld", account_id=str(user.id))
                return
            if await self._users.replace_claim(user, counted):
                await self._issue_code.to(counted, decoy)
                return
