"""What the use cases need of the outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chassis.journal_consumer import Entry

from notifications.domain.mails import Content, Mail, MailKind, Outcome
from notifications.domain.order_fills import BatchFills, OpenMail, OrderFilled


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """The part of a code mail that is never stored in the clear."""

    code: str
    name: str
    expires_at: datetime

    def __repr__(self) -> str:
        return "Secret(hidden)"


@dataclass(frozen=True, slots=True)
class Contact:
    email: str
    name: str


class ProviderBusy(Exception):
    """The mail provider does not take mails now. `retry_after_seconds` where it said so."""

    def __init__(self, problem: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after_seconds = retry_after_seconds


class MailRefused(Exception):
    """The provider will never take this mail; its words say why."""


class NoContact(Exception):
    """The user does not exist any more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`mail` where it is ours to send; else `wait_seconds` until it may be, or None when nothing is left to do."""

    mail: Mail | None = None
    wait_seconds: float | None = None


class Mails(Protocol):
    async def add(self, mail: Mail) -> Mail:
        """Writes a queued mail down, or returns the one that already has its id."""
        ...

    async def claim(self, mail_id: str, now: datetime) -> Claim:
        """Takes a queued mail for sending, so that no second worker sends it meanwhile. Counts the attempt."""
        ...

    async def lost(self, now: datetime, limit: int) -> Sequence[Mail]:
        """Mails still queued long after they should have gone, oldest first."""
        ...

    async def due_again(self, mail_ids: Sequence[str], now: datetime) -> None: ...


class MailPortions(Protocol):
    async def claim(self, mail_ids: Sequence[str], now: datetime) -> dict[str, Claim]:
        """Takes those that are queued and free, as `Mails.claim` does, all at once. Of others that are queued, how
        long to wait; what is sent or failed is left out.
        """
        ...

    async def note(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        """Writes down what became of tries, and lets go of the mails. Tries again for seconds where the database is
        away: what is not noted may have been sent, and is sent again.
        """
        ...


class FillRecords(Protocol):
    async def add(
        self, fills: Sequence[tuple[OrderFilled, datetime]], open_mails: Mapping[str, OpenMail]
    ) -> list[OpenMail]:
        """Records the fills, in the transaction around it: in the user's open mail where there is one, else in a new
        one. `open_mails` by user; the mails that were begun or have grown.
        """
        ...

    async def untried(self, now: datetime, limit: int) -> list[str]:
        """Mails of filled orders that nobody has tried to send, oldest first."""
        ...


class TaskQueue(Protocol):
    async def send_code(self, mail_id: str, sealed: str, *, expires_at: datetime, delay_seconds: float = 0) -> None:
        """Raises Unavailable where the broker did not take it."""
        ...

    async def send_mail(self, mail_id: str, *, delay_seconds: float = 0) -> None:
        """Raises Unavailable where the broker did not take it."""
        ...

    async def send_notice(self, mail_id: str) -> None:
        """A mail without a code that somebody has to act on. Raises Unavailable where the broker did not take it."""
        ...

    async def send_mails(self, mail_ids: Sequence[str]) -> None:
        """Mails that nobody waits for, in portions. Raises Unavailable where the broker did not take one of them; the
        rest was not sent then.
        """
        ...


class Seal(Protocol):
    def close(self, secret: Secret) -> str: ...

    def open(self, sealed: str, now: datetime) -> Secret | None:
        """None once the secret has expired, or where this key did not seal it."""
        ...

    def digest(self, *parts: str) -> str:
        """A keyed digest: equal for equal parts, and no help in guessing them."""
        ...


class Renderer(Protocol):
    def render(self, kind: MailKind, *, name: str, facts: Mapping[str, object], secret: Secret | None) -> Content: ...


class Provider(Protocol):
    async def send(self, *, mail_id: str, recipient: str, name: str, content: Content) -> str:
        """The provider's id of the mail. Raises ProviderBusy, MailRefused."""
        ...


class Contacts(Protocol):
    async def find(self, user_id: str) -> Contact:
        """Raises NoContact; Unavailable while auth does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class JournalPart:
    """Batches in order; `at_end` where the journal had no more when it was asked."""

    entries: Sequence[Entry[BatchFills]]
    at_end: bool


class Journal(Protocol):
    async def read(self, after: int, limit: int) -> JournalPart: ...
