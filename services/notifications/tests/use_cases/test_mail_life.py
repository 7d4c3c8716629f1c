"""A mail from its request to its end, on the real database and a real HTTP provider; the queue remembers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from chassis.errors import Unavailable
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoConnection
from chassis.testing import FixedClock
from cryptography.fernet import Fernet
from notifications.clients.sendgrid import SendGrid
from notifications.crypto.fernet_seal import FernetSeal
from notifications.domain.mails import TRIES_MAX, MailKind
from notifications.domain.order_fills import MAILS_PER_HOUR_MAX, OrderFilled
from notifications.rendering.jinja_renderer import JinjaRenderer
from notifications.storage.fill_records import MongoFillRecords
from notifications.storage.mails import MongoMails
from notifications.use_cases.accept_code import AcceptCode, CodeMessage
from notifications.use_cases.deliver_mail import DeliverMail
from notifications.use_cases.ports import Contact, NoContact, Secret
from notifications.use_cases.sweep_mails import SweepMails
from werkzeug import Response

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
    deliver: DeliverMail
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

    async def fill(self, order_id: str = "o1", count: int = 1) -> list[str]:
        fills = [
            OrderFilled(
                order_id=order_id if count == 1 else f"{order_id}-{number}",
                user_id="u1",
                market="BTC-USD",
                side="buy",
                quantity="1",
                notional="2",
                average_price="2",
                fees="0",
            )
            for number in range(count)
        ]
        now = self.clock.now()
        return await self.mongo.transactions.run(
            lambda: MongoFillRecords().add([(one_fill, now) for one_fill in fills])
        )

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


@pytest.fixture
async def room(documents: MongoConnection, provider: Any) -> AsyncIterator[Room]:
    # Today: the database removes rows that are older than they may be kept, whenever it looks.
    clock = FixedClock(datetime.now(UTC).replace(microsecond=0))
    queue, book = RememberingQueue(), AddressBook()
    seal, mails = FernetSeal(Fernet.generate_key().decode()), MongoMails()
    sendgrid = SendGrid(
        base_url=provider.url, api_key="SG.a-key-for-tests", sender="a@b.example", sender_name="C", clock=clock
    )
    yield Room(
        clock=clock,
        queue=queue,
        book=book,
        accept=AcceptCode(mails=mails, queue=queue, seal=seal, clock=clock),
        deliver=DeliverMail(
            mails=mails,
            contacts=book,
            provider=sendgrid,
            renderer=JinjaRenderer(),
            queue=queue,
            seal=seal,
            clock=clock,
        ),
        sweep=SweepMails(mails=mails, queue=queue, clock=clock),
        mongo=documents,
    )
    await sendgrid.close()


async def test_two_tasks_for_one_mail_send_it_once(room: Room, provider: Any) -> None:
    await room.ask()
    await room.ask()
    assert len(room.queue.tasks) == 2
    await room.work()
    await room.work()
    assert len(provider.mails) == 1
    assert (await room.row())["status"] == "sent"
    await room.ask()
    assert room.queue.tasks == []


async def test_a_request_whose_task_was_not_taken_is_queued_by_its_repeat(room: Room, provider: Any) -> None:
    room.queue.away = True
    with pytest.raises(Unavailable):
        await room.ask()
    room.queue.away = False
    await room.ask()
    await room.work()
    assert len(provider.mails) == 1


async def test_a_busy_provider_is_asked_again_later_and_later(room: Room, provider: Any) -> None:
    provider.answers.extend(Response(status=503) for _ in range(3))
    await room.ask()
    pauses = [await room.work() for _ in range(4)]
    assert pauses == [0, 2, 4, 8]
    assert (await room.row())["status"] == "sent"
    assert (await room.row())["attempts"] == 4


async def test_the_reset_header_is_honoured(room: Room, provider: Any) -> None:
    reset = int((room.clock.now() + timedelta(seconds=90)).timestamp())
    provider.answers.append(Response(status=429, headers={"X-RateLimit-Reset": str(reset)}))
    await room.ask()
    await room.work()
    row = await room.row()
    assert (row["status"], row["claimed_until"]) == ("queued", None)
    assert "429" in row["reason"]
    assert await room.work() == pytest.approx(90, abs=1)
    assert len(provider.mails) == 1


async def test_a_refused_mail_is_closed_with_the_reason(room: Room, provider: Any) -> None:
    body = '{"errors": [{"message": "Does not contain a valid address.", "field": "to"}]}'
    provider.answers.append(Response(body, status=400))
    await room.ask()
    await room.work()
    row = await room.row()
    assert row["status"] == "failed"
    assert "Does not contain a valid address." in row["reason"]
    assert room.queue.tasks == []


async def test_an_expired_code_is_not_sent(room: Room, provider: Any) -> None:
    await room.ask()
    room.clock.advance(LIFE.total_seconds())
    await room.work()
    row = await room.row()
    assert (row["status"], row["reason"]) == ("failed", "expired")
    assert provider.requests == 0


async def test_a_code_that_would_expire_before_the_next_try_is_closed(room: Room, provider: Any) -> None:
    provider.answers.append(Response(status=503, headers={"Retry-After": "3600"}))
    await room.ask()
    await room.work()
    assert (await room.row())["status"] == "failed"
    assert room.queue.tasks == []


async def test_a_mail_is_given_up_after_its_tries(room: Room, provider: Any) -> None:
    room.book.contacts["u1"] = Contact("ann@example.org", "Ann")
    provider.answers.extend(Response(status=500) for _ in range(20))
    await room.fill()
    room.queue.tasks.append(("order-filled:o1", None, 0))
    while room.queue.tasks:
        await room.work()
    row = await room.row("order-filled:o1")
    assert (row["status"], row["attempts"], provider.requests) == ("failed", TRIES_MAX, TRIES_MAX)


async def test_a_claimed_mail_waits_for_the_claim_of_a_dead_worker_to_end(room: Room, provider: Any) -> None:
    await room.ask()
    await MongoMails().claim("m1", room.clock.now())
    await room.work()
    assert provider.requests == 0
    [(_, sealed, delay_seconds)] = room.queue.tasks
    assert sealed is not None
    assert delay_seconds == pytest.approx(30, abs=1)
    await room.work()
    assert len(provider.mails) == 1


async def test_of_many_workers_one_claims_a_mail(room: Room) -> None:
    await room.ask()
    claims = await asyncio.gather(*(MongoMails().claim("m1", room.clock.now()) for _ in range(8)))
    [mine] = [claim.mail for claim in claims if claim.mail is not None]
    assert (mine.id, mine.attempts) == ("m1", 1)
    assert [claim.wait_seconds for claim in claims].count(None) == 1


async def test_a_mail_that_kills_its_workers_is_given_up(room: Room, provider: Any) -> None:
    await room.fill()
    for _ in range(TRIES_MAX):
        assert (await MongoMails().claim("order-filled:o1", room.clock.now())).mail is not None
        room.clock.advance(31)
    await room.deliver("order-filled:o1")
    assert (await room.row("order-filled:o1"))["status"] == "failed"
    assert provider.requests == 0


async def test_an_order_mail_waits_for_auth_and_is_closed_for_a_user_who_is_gone(room: Room, provider: Any) -> None:
    room.book.away = True
    await room.fill()
    room.queue.tasks.append(("order-filled:o1", None, 0))
    await room.work()
    assert (await room.row("order-filled:o1"))["status"] == "queued"
    room.book.away = False
    await room.work()
    row = await room.row("order-filled:o1")
    assert (row["status"], row["reason"]) == ("failed", "NoContact: u1")


async def test_the_sweep_queues_lost_mails_again_and_closes_lost_codes(room: Room, provider: Any) -> None:
    room.book.contacts["u1"] = Contact("ann@example.org", "Ann")
    await room.fill()
    await room.ask()
    room.queue.tasks.clear()
    assert await room.sweep() == 0
    room.clock.advance(130)
    assert await room.sweep() == 1
    assert await room.sweep() == 0
    await room.work()
    assert provider.mails[0]["subject"] == "Bought 1 BTC"
    assert (await room.row())["status"] == "queued"
    room.clock.advance(LIFE.total_seconds())
    assert await room.sweep() == 0
    assert ((await room.row())["status"], (await room.row())["reason"]) == ("failed", "expired")


async def test_the_sweep_finds_again_what_the_broker_did_not_take(room: Room) -> None:
    await room.fill()
    room.clock.advance(130)
    room.queue.away = True
    with pytest.raises(Unavailable):
        await room.sweep()
    room.queue.away = False
    room.clock.advance(130)
    assert await room.sweep() == 1


async def test_a_user_gets_so_many_order_mails_an_hour_and_a_row_for_every_order(room: Room) -> None:
    assert len(await room.fill("first", count=15)) == 15
    assert len(await room.fill("second", count=15)) == MAILS_PER_HOUR_MAX - 15
    assert await room.fill("third", count=2) == []
    assert await room.mongo.database["notifications"].count_documents({}) == 32
    room.clock.advance(3600)
    assert len(await room.fill("later", count=2)) == 2
