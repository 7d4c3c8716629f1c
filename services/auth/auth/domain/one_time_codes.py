"""The six digits that prove a mailbox."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from auth.domain.errors import MalformedCode

CODE_DIGITS = 6
CODE_LIFETIME = timedelta(minutes=10)
TRIES_MAX = 5  # per code: one guess in 200,000 goes through


class CodePurpose(StrEnum):
    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    SECURITY_NOTICE = "security_notice"


class CodeVerdict(StrEnum):
    ACCEPTED = "accepted"
    WRONG = "wrong"
    MISSING = "missing"  # none is live
    EXHAUSTED = "exhausted"  # it took its last try before


@dataclass(frozen=True, slots=True)
class SendLimit:
    """So many mails to one address, whoever asked and whether or not it has an account."""

    mails: int
    window: timedelta


SENDS_MAX = 3
_A_FEW = SendLimit(SENDS_MAX, timedelta(minutes=10))
# Each purpose has its own, so that asking for what sends an owner nothing, as for a code to sign up again, does not
# use up the codes that give them a new password.
SEND_LIMITS: Mapping[CodePurpose, SendLimit] = {
    CodePurpose.VERIFY_EMAIL: _A_FEW,
    CodePurpose.RESET_PASSWORD: _A_FEW,
    # Beside the first: a stranger may go on for days, and codes have their count of the day in the database.
    CodePurpose.ALREADY_REGISTERED: SendLimit(10, timedelta(days=1)),
}


@dataclass(frozen=True, slots=True)
class CodeCheck:
    verdict: CodeVerdict
    tries_left: int = 0


def code_digits(number: int) -> str:
    """Six digits of a number below one million, zeros in front kept."""
    return f"{number:0{CODE_DIGITS}d}"


def parse_code(typed: str) -> str:
    """Six ASCII digits; spaces around or between them are how mail programs and people copy.

    Raises:
        MalformedCode: anything else. It costs no try, since no code could match it.
    """
    if len(typed) > CODE_DIGITS * 4:
        raise MalformedCode
    digits = typed.replace(" ", "")
    if not re.fullmatch(rf"[0-9]{{{CODE_DIGITS}}}", digits):
        raise MalformedCode
    return digits
