"""What the use cases need of the outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chassis.journal_consumer import Entry

from notifications.domain.mails import Content, Mail, MailKind
from notifications.domain.order_fills import BatchFills, OrderFilled


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


class Mails(Protocol):
    async def add(self, mail: Mail) -> Mail:
        """Writes a queued mail down, or returns the one that already has its id."""
        ...

    async def claim(self, mail_id: str, now: datetime) -> "Claim":
        """Takes a queued mail for sending, so that no second worker sends it meanwhile. Counts the attempt."""
        ...

    async def sent(self, mail_id: str, now: datetime, *, recipient: str, provider_id: str) -> None: ...

    async def postponed(self, mail_id: str, now: datetime, *, until: datetime, reason: str) -> None: ...

    async def failed(self, mail_id: str, now: datetime, *, reason: str) -> None: ...

    async def lost(self, now: datetime, limit: int) -> Sequence[Mail]:
        """Mails still queued long after they should have gone, oldest first."""
        ...

    async def due_again(self, mail_ids: Sequence[str], now: datetime) -> None: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """`mail` where it is ours to send; else `wait_seconds` until it may be, or None when nothing is left to do."""

    mail: Mail | None = None
    wait_seconds: float | None = None


class FillRecords(Protocol):
    async def add(self, fills: Sequence[tuple[OrderFilled, datetime]]) -> list[str]:
        """Records the fills that are new, in the transaction around it; the ids of the mails to send."""
        ...


class TaskQueue(Protocol):
    async def send_code(self, mail_id: str, sealed: str, *, expires_at: datetime, delay_seconds: float = 0) -> None:
        """Raises Unavailable where the broker did not take it."""
        ...

    async def send_mail(self, mail_id: str, *, delay_seconds: float = 0) -> None:
        """Raises Unavailable where the broker did not take it."""
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
    def render(self, kind: MailKind, *, name: str, facts: dict[str, str], secret: Secret | None) -> Content: ...


class Provider(Protocol):
    async def send(self, *, mail_id: str, recipient: str, name: str, content: Content) -> str:
        """The provider's id of the mail. Raises ProviderBusy, MailRefused."""
        ...


class Contacts(Protocol):
    async def find(self, user_id: str) -> Contact:
        """Raises NoContact; Unavailable while auth does not answer."""
        ...


class Journal(Protocol):
    async def read(self, after: int, limit: int) -> Sequence[Entry[BatchFills]]: ...
