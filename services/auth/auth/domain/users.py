"""A person's account, and the rules of the time before the address is proven."""

import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from auth.domain.email_address import EmailAddress
from auth.domain.errors import InvalidName
from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.domain.one_time_codes import CODE_LIFETIME
from auth.domain.roles import USER_ROLE, permissions_of

NAME_LENGTH_MAX = 100  # fits one line of a mail's greeting
NOT_IN_NAMES = frozenset("<>/\\@")  # it greets in a mail to an address nobody has proven: it must not carry a link
# They turn the reading direction of what follows them: "Ada" and the sentence around it would be read as another text.
DIRECTION_CONTROLS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})  # Unicode, annex 9
NO_PASSWORD = ""  # no hash verifies against it: sign-in by password is closed until one is set through the mailbox
DISPUTED = "disputed"  # an origin that equals no caller's
# Durable, unlike Redis: however often Redis is emptied, an account's codes can be guessed 10 x 5 times a day.
CODES_PER_DAY_MAX = 10
CODES_WINDOW = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SignUpClaim:
    """Who says, without proof yet, that an unverified account is theirs. `origin` stands for a network address;
    `contested` says that somebody said so from another one before.
    """

    origin: str
    open_until: datetime
    codes_sent: int
    codes_since: datetime
    revision: int = 0
    contested: bool = False


@dataclass(frozen=True, slots=True)
class CodeCount:
    """Codes mailed for a new password since a moment: like those of sign-up, in the database, which Redis is not."""

    sent: int
    since: datetime


@dataclass(frozen=True, slots=True)
class User:
    """`claim` is there until the address is verified."""

    id: UUID
    email: EmailAddress
    name: str
    password_hash: str = field(repr=False)
    created_at: datetime
    email_verified: bool = False
    two_factor_enabled: bool = False
    last_login: datetime | None = None
    throttle: LoginThrottle = OPEN
    roles: tuple[str, ...] = (USER_ROLE,)
    claim: SignUpClaim | None = None
    reset_codes: CodeCount | None = None
    # Closed by its owner: nobody signs in until a new password is set by a code to the mailbox.
    frozen_at: datetime | None = None
    # How often a password was set by a code to the mailbox.
    password_resets: int = 0

    @property
    def permissions(self) -> tuple[str, ...]:
        return permissions_of(self.roles)


def claimed_user(
    *, user_id: UUID, email: EmailAddress, name: str, password_hash: str, origin: str, now: datetime
) -> User:
    """A new account, waiting for its code."""
    claim = SignUpClaim(origin=origin, open_until=now + CODE_LIFETIME, codes_sent=0, codes_since=now)
    return User(id=user_id, email=email, name=name, password_hash=password_hash, created_at=now, claim=claim)


def claimed_again(user: User, *, name: str, password_hash: str, origin: str, now: datetime) -> User:
    """What a further sign-up makes of an account whose address nobody has proven.

    Whoever enters the code owns the mailbox, but nothing tells us whose password they meant. So: when the earlier
    claim's code is dead, the new claim replaces it; from the same origin it replaces it too (somebody typed again);
    from elsewhere while a code lives, two parties claim one address, and the account is left without a password.
    `proven_password` has the last word.
    The code then still opens a session for the mailbox's owner, and no password that a stranger chose ever works.
    """
    claim = _claim_of(user)
    renewed = replace(
        claim,
        open_until=now + CODE_LIFETIME,
        revision=claim.revision + 1,
        contested=claim.contested or claim.origin != origin,
    )
    if claim.open_until <= now or claim.origin == origin:
        return replace(user, name=name, password_hash=password_hash, claim=replace(renewed, origin=origin))
    return replace(user, password_hash=NO_PASSWORD, claim=replace(renewed, origin=DISPUTED))


def proven_password(user: User, *, origin: str) -> str:
    """The password hash that an account keeps when its address is proven from that origin.

    Of a claim that took another's place nobody knows whether its code was entered by who made it, or by who made the
    earlier one and had not entered theirs: from elsewhere it proves the mailbox, not the password.
    """
    contested = user.claim is not None and user.claim.contested and user.claim.origin != origin
    return NO_PASSWORD if contested else user.password_hash


def with_code_sent(user: User, now: datetime) -> User | None:
    """The account with one more code on its count; None where today's are used up."""
    claim = _claim_of(user)
    if claim.codes_since + CODES_WINDOW <= now:
        claim = replace(claim, codes_sent=0, codes_since=now)
    if claim.codes_sent >= CODES_PER_DAY_MAX:
        return None
    counted = replace(
        claim, codes_sent=claim.codes_sent + 1, open_until=now + CODE_LIFETIME, revision=claim.revision + 1
    )
    return replace(user, claim=counted)


def reset_codes_after_one_more(user: User, now: datetime) -> CodeCount | None:
    """None where today's are used up."""
    count = user.reset_codes
    if count is None or count.since + CODES_WINDOW <= now:
        return CodeCount(sent=1, since=now)
    return replace(count, sent=count.sent + 1) if count.sent < CODES_PER_DAY_MAX else None


def display_name(typed: str) -> str:
    """A name in NFC without outer spaces.

    Raises:
        InvalidName: empty, too long, or with characters that a mail or a page could not show on one line.
    """
    name = unicodedata.normalize("NFC", typed[: NAME_LENGTH_MAX * 4]).strip()
    if all(unicodedata.category(character) in {"Cf", "Zs"} for character in name):
        raise InvalidName("A name has at least one character.", rule="min_length")
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidName(f"A name has at most {NAME_LENGTH_MAX} characters.", rule="max_length")
    if any(
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in DIRECTION_CONTROLS
        for character in name
    ):
        raise InvalidName("A name has no control characters.", rule="printable")
    if not NOT_IN_NAMES.isdisjoint(name):
        raise InvalidName("A name has none of < > / \\ @.", rule="characters")
    return name


def _claim_of(user: User) -> SignUpClaim:
    if user.claim is None:
        raise ValueError("a verified account has no claim")
    return user.claim
