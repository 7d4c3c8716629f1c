from functools import partial

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.email_address import EmailAddress, email_address
from auth.domain.one_time_codes import CodePurpose
from auth.domain.users import reset_codes_after_one_more
from auth.use_cases.issue_code import Decoy, IssueCode
from auth.use_cases.ports import CodeLimits, Errands, Users

RACES_MAX = 5

log = get_logger(__name__)


class RequestPasswordReset:
    """Mails a code for a new password to the owner of a verified account; says and costs the same for any address."""

    def __init__(
        self, *, users: Users, code_limits: CodeLimits, issue_code: IssueCode, errands: Errands, clock: Clock
    ) -> None:
        self._users = users
        self._code_limits = code_limits
        self._issue_code = issue_code
        self._errands = errands
        self._clock = clock

    async def __call__(self, *, email: str) -> None:
        """Raises InvalidEmail, TooBusy. Where mails were sent already it is silent: the answer is always the same."""
        address = email_address(email)
        if await self._code_limits.seconds_to_wait(CodePurpose.RESET_PASSWORD, address):
            return
        decoy = await self._issue_code.decoy(address, CodePurpose.RESET_PASSWORD)
        # After the reply: what is looked up and written differs by address, so the caller must not be able to time it.
        self._errands.hand_over("reset_code", partial(self._send, address, decoy))

    async def _send(self, address: EmailAddress, decoy: Decoy) -> None:
        for _ in range(RACES_MAX):
            user = await self._users.by_email(address)
            if user is None or not user.email_verified:
                return
            count = reset_codes_after_one_more(user, self._clock.now())
            if count is None:
                log.warning("Codes of the day are used up", event="code_withheld", account_id=str(user.id))
                return
            if await self._users.count_reset_code(user, count):
                await self._issue_code.to(user, decoy, CodePurpose.RESET_PASSWORD)
                return
