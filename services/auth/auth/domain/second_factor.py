"""The second factor: a time-based code (RFC 6238) from an app, or one of ten recovery codes when the app is gone."""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from auth.domain.errors import MalformedCode

STEP_SECONDS = 30  # RFC 6238's, and every app's
STEPS_AROUND = 1  # a clock half a minute off, or a code typed as it changes
SECRET_BYTES = 20  # 160 bits, as long as the hash (RFC 4226 section 4)
RECOVERY_CODES = 10
RECOVERY_CODE_LENGTH = 10  # 50 bits: with five tries a quarter of an hour beyond any guessing
RECOVERY_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 letters, none that reads like another
STEP_UP_LIFETIME = timedelta(minutes=5)
CHALLENGE_LIFETIME = timedelta(minutes=5)  # to find the phone
_TYPED_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Secrets are sealed, recovery codes are digests. `last_step` is the newest time step a code was taken of."""

    user_id: UUID
    secret: str | None = field(default=None, repr=False)
    proposed_secret: str | None = field(default=None, repr=False)
    last_step: int = 0
    recovery_digests: tuple[str, ...] = ()

    @property
    def is_enabled(self) -> bool:
        return self.secret is not None


@dataclass(frozen=True, slots=True)
class TypedCode:
    """What somebody typed, in the one form of its kind."""

    text: str
    is_recovery: bool


def parse_second_factor(typed: str) -> TypedCode:
    """Six digits are the app's; ten letters a recovery code, however grouped and in whatever case.

    Raises:
        MalformedCode: neither. It costs no try, since no code could match it.
    """
    if len(typed) > _TYPED_LENGTH_MAX:
        raise MalformedCode
    plain = re.sub(r"[ -]", "", typed).lower()
    if re.fullmatch(r"[0-9]{6}", plain):
        return TypedCode(plain, is_recovery=False)
    if len(plain) == RECOVERY_CODE_LENGTH and set(plain) <= set(RECOVERY_ALPHABET):
        return TypedCode(plain, is_recovery=True)
    raise MalformedCode


def steps_to_try(now: datetime, *, after: int) -> range:
    """The time steps whose codes are good now: those around now, and only those after the last one that was taken."""
    step = int(now.timestamp()) // STEP_SECONDS
    return range(max(step - STEPS_AROUND, after + 1), step + STEPS_AROUND + 1)


def shown_recovery_code(code: str) -> str:
    """In two groups, for paper."""
    half = RECOVERY_CODE_LENGTH // 2
    return f"{code[:half]}-{code[half:]}"
