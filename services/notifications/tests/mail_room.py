"""A room with everything that a mail meets: the real database and a real HTTP provider; the queue remembers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.errors import Unavailable
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoConnection
from chassis.testing import FixedClock
from cryptography.fernet import Fernet
from notifications.clients.sendgrid import SendGrid
from notifications.crypto.fernet_seal import FernetSeal
from notifications.domain.mails import MailKind
from notifications.domain.order_fills import OrderFilled
from notifications.rendering.jinja_renderer import JinjaRenderer
from notifications.storage.fill_records import MongoFillRecords
from notifications.storage.mail_portions import MongoMailPortions
from notifications.storage.mails import MongoMails
from notifications.use_cases.accept_code import AcceptCode, CodeMessage
from notifications.use_cases.accept_notice import AcceptNotice
from notifications.use_cases.attempt_mail import AttemptMail
from notifications.use_cases.deliver_mail import DeliverMail
from notifications.use_cases.deliver_mails import DeliverMails
from notifications.use_cases.ports import Contact, NoContact, Secret
from notifications.use_cases.sweep_mails import SweepMails

AUTH = Caller(service="auth", user_id=None, session_id=None, request_id="r", address=None)
LIFE = timedelta(minutes=10)


@dataclass
class RememberingQueue:
    tasks: list[tuple[str, str | None, float]] = field(default_factory=list)
    away: bool = False

    async def send_code(self, mail_id: str, sealed: str, *, expires_at: datetime, delay_seconds: float = 0) -> None:
        self._take(mail_id, sealed, delay_seconds)

    async def send_mail(self, mail_id: str, *, delay_seconds: float = 0) -> None:
        self._take(mail_id, None, delay_seconds)

    async def send_notice(self, mail_id: str) -> None:
        self._take(mail_id, None, 0)

    async def send_mails(self, mail_ids: Sequence[str]) -> None:
        for mail_id in mail_ids:
            self._take(mail_id, None, 0)

    def _take(self, mail_id: str, sealed: str | None, delay_seconds: float) -> None:
        if self.away:
            raise Unavailable("The task queue does not answer.")
        self.tasks.append((mail_id, sealed, delay_seconds))


@dataclass
class AddressBook:
    contacts: dict[str, Contact] = field(default_factory=dict)
    away: bool = False

    async def find(self, user_id: str) -> Contact:
        if self.away:
            raise Unavailable("auth does not answer.")
        if user_id not in self.contacts:
            raise NoContact(user_id)
        return self.contacts[user_id]


@dataclass
class Room:
    """Everything a mail meets."""

    clock: FixedClock
    queue: RememberingQueue
    book: AddressBook
    accept: AcceptCode
    notice: AcceptNotice
    deliver: DeliverMail
    deliver_many: DeliverMails
    sweep: SweepMails
    mongo: MongoConnection

    async def ask(self, mail_id: str = "m1", code: str = "736251", kind: MailKind = MailKind.VERIFY_EMAIL) -> None:
        secret = Secret(code=code, name="Ann", expires_at=self.clock.now() + LIFE)
        with use_caller(AUTH):
            await self.accept(
                CodeMessage(
                    message_id=mail_id, kind=kind, user_id="u1", email="ann@example.org", facts={}, secret=secret
                )
            )

    async def fill(self, *order_ids: str, user_id: str = "u1") -> list[str]:
        """The mails that were begun or have grown; none that was begun before is open."""
        now = self.clock.now()
        fills = [(filled(order_id, user_id), now) for order_id in order_ids or ("o1",)]
        mails = await self.mongo.transactions.run(lambda: MongoFillRecords().add(fills, {}))
        return [mail.mail_id for mail in mails]

    async def work(self) -> float:
        """Runs the oldest task; how long it was to wait."""
        mail_id, sealed, delay_seconds = self.queue.tasks.pop(0)
        self.clock.advance(delay_seconds)
        await self.deliver(mail_id, sealed)
        return delay_seconds

    async def row(self, mail_id: str = "m1") -> dict[str, Any]:
        row = await self.mongo.database["mails"].find_one({"_id": mail_id})
        assert row is not None
        return row


def filled(order_id: str, user_id: str = "u1") -> OrderFilled:
    return OrderFilled(
        order_id=order_id,
        user_id=user_id,
        market="BTC-USD",
        side="buy",
        quantity="1",
        notional="2",
        average_price="2",
        fees="0",
    )


@asynccontextmanager
async def open_room(documents: MongoConnection, provider_url: str) -> AsyncIterator[Room]:
    # Today: the database removes rows that are older than they may be kept, whenever it looks.
    clock = FixedClock(datetime.now(UTC).replace(microsecond=0))
    queue, book = RememberingQueue(), AddressBook()
    seal, mails = FernetSeal(Fernet.generate_key().decode()), MongoMails()
    portions = MongoMailPortions(documents.transactions)
    sendgrid = SendGrid(
        base_url=provider_url, api_key="SG.a-key-for-tests", sender="a@b.example", sender_name="C", clock=clock
    )
    attempt = AttemptMail(contacts=book, provider=sendgrid, renderer=JinjaRenderer(), seal=seal, clock=clock)
    yield Room(
        clock=clock,
        queue=queue,
        book=book,
        accept=AcceptCode(mails=mails, queue=queue, seal=seal, clock=clock),
        notice=AcceptNotice(mails=mails, queue=queue, clock=clock),
        deliver=DeliverMail(mails=mails, portions=portions, attempt=attempt, queue=queue, seal=seal, clock=clock),
        deliver_many=DeliverMails(portions=portions, attempt=attempt, queue=queue, clock=clock),
        sweep=SweepMails(mails=mails, portions=portions, queue=queue, clock=clock),
        mongo=documents,
    )
    await sendgrid.close()
