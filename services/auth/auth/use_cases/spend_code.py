from chassis.logs import get_logger

from auth.domain.email_address import EmailAddress
from auth.domain.errors import CodeExpired, InvalidCode, TooManyAttempts
from auth.domain.one_time_codes import CodePurpose, CodeVerdict
from auth.use_cases.crypto_ports import Digests
from auth.use_cases.ports import Codes

log = get_logger(__name__)


class SpendCode:
    """Takes a code from a mail, once. Answers the same for every address, known or not."""

    def __init__(self, *, codes: Codes, digests: Digests) -> None:
        self._codes = codes
        self._digests = digests

    async def __call__(self, purpose: CodePurpose, address: EmailAddress, digits: str) -> None:
        """Raises InvalidCode (with the tries left), CodeExpired, TooManyAttempts."""
        check = await self._codes.check(purpose, address, self._digests.of_code(purpose, address, digits))
        if check.verdict is CodeVerdict.ACCEPTED:
            return
        log.info("Code refused", event="code_refused", purpose=purpose.value, verdict=check.verdict.value)
        if check.verdict is CodeVerdict.WRONG:
            raise InvalidCode(tries_left=check.tries_left)
        if check.verdict is CodeVerdict.EXHAUSTED:
            raise TooManyAttempts
        raise CodeExpired
