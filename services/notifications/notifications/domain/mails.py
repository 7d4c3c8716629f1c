"""A mail's life. It is written down before anything is sent, and says at any time where it stands."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

DISPLAY_NAME_LENGTH_MAX = 60  # a greeting, not a message
# A sign-up may name anything as its name and any address as its own; our mail must not carry links to strangers.
_LINK_LIKE = re.compile(r"://|www\.|\.[a-z]{2,}(/|\b)|@", re.IGNORECASE)
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]+")


class MailKind(StrEnum):
    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a kind of mail
    SECURITY_NOTICE = "security_notice"
    ORDER_FILLED = "order_filled"

    @property
    def carries_code(self) -> bool:
        return self in {MailKind.VERIFY_EMAIL, MailKind.RESET_PASSWORD}


# What a security notice may be about; auth's words, each with its sentences in the template.
NOTICE_EVENTS = frozenset(
    {
        "account_frozen",
        "account_locked",
        "account_unfrozen",
        "api_key_created",
        "new_device",
        "password_changed",
        "password_reset",
        "password_reset_two_factor_on",
        "recovery_code_used",
        "recovery_codes_renewed",
        "session_copied",
        "two_factor_disabled",
        "two_factor_enabled",
        "two_factor_removed",
    }
)


class MailStatus(StrEnum):
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class MailTrigger(StrEnum):
    ACCEPTED = "accepted"  # the provider took it
    POSTPONED = "postponed"  # the provider is busy or away
    REFUSED = "refused"  # the provider will never take it, or we ran out of tries
    EXPIRED = "expired"  # its code is worth nothing any more


# All legal steps. Nothing follows `sent` and `failed`.
TRANSITIONS: dict[tuple[MailStatus, MailTrigger], MailStatus] = {
    (MailStatus.QUEUED, MailTrigger.ACCEPTED): MailStatus.SENT,
    (MailStatus.QUEUED, MailTrigger.POSTPONED): MailStatus.QUEUED,
    (MailStatus.QUEUED, MailTrigger.REFUSED): MailStatus.FAILED,
    (MailStatus.QUEUED, MailTrigger.EXPIRED): MailStatus.FAILED,
}

TRIES_MAX = 10  # about 45 minutes with the pauses below; longer is an outage that the sweep has to outlive
PAUSE_FIRST = timedelta(seconds=2)
PAUSE_MAX = timedelta(minutes=10)
DOUBLINGS_MAX = 20  # long past the longest pause, long before a number too large for a timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """The record of one mail. Holds no code; `recipient` is None until the user's address has been looked up."""

    id: str
    kind: MailKind
    user_id: str
    recipient: str | None
    facts: dict[str, str]
    # Of an order mail, what else was filled in the same moment; `facts` are the first one's. Up to as many as a mail
    # lists, and whether there were more.
    other_orders: tuple[dict[str, str], ...] = ()
    unlisted_orders: bool = False
    # Tells a repeat of a request from another request under the same id.
    digest: str
    status: MailStatus
    attempts: int
    created_at: datetime
    # When it should be on its way at the latest; a mail still queued well after that was lost on the way.
    due_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one try: the step, and what else the mail's record should say from now on."""

    mail_id: str
    trigger: MailTrigger
    reason: str | None = None
    recipient: str | None = None
    provider_id: str | None = None
    # When to try again, where it was postponed.
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a person reads."""

    subject: str
    text: str
    html: str


def pause_before_try(attempts: int) -> timedelta:
    """How long to wait after that many failed tries: doubled each time, up to a longest."""
    doublings = min(max(0, attempts - 1), DOUBLINGS_MAX)
    return min(PAUSE_FIRST * (1 << doublings), PAUSE_MAX)


def display_name(name: str) -> str:
    """A name as we greet with it: one line, short; empty where it looks like a link or an address."""
    line = " ".join(_NOT_PRINTABLE.sub(" ", name).split())[:DISPLAY_NAME_LENGTH_MAX].strip()
    return "" if _LINK_LIKE.search(line) else line
