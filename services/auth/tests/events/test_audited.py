"""What other services tell the audit trail, over the real bus."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from auth.events.subscriptions import DETAILS_MAX, QUEUE, audited
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.documents import DOCUMENTS
from chassis.bus import Bus
from chassis.events import OutgoingEvent
from chassis.inbox import Inbox
from chassis.mongo import MongoConnection, init_documents
from chassis.outbox import Outbox, OutboxRelay
from chassis.testing import eventually
from cryptovault.common.v1.audit_pb2 import Audited

USER = UUID("01890000-0000-7000-8000-00000000000a")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def told(**changes: Any) -> Audited:
    fields = {
        "user_id": str(USER), "actor": f"user:{USER}", "action": "address_allowed", "resource": "address:1",
        "address": "203.0.113.7", "session_id": "s", "request_id": "r", "details": {"asset": "BTC"}, **changes,
    }  # fmt: skip
    event = Audited(**fields)
    event.time.FromDatetime(NOON)
    return event


@pytest.fixture
async def bus(amqp_url: str, bus_namespace: str, mongo: MongoConnection) -> AsyncIterator[Bus]:
    await init_documents(mongo.database, DOCUMENTS)
    inbox = Inbox(mongo.database, mongo.transactions)
    bus = await Bus.connect(amqp_url, bus_namespace)
    # Tried five times as ever, without the pauses in between.
    await bus.subscribe(replace(audited(inbox, MongoAuditTrail()), retry_pauses_seconds=(0.01,)))
    yield bus
    await bus.close()


@pytest.fixture
def parking(amqp_url: str, bus_namespace: str) -> tuple[str, str]:
    return amqp_url, f"{bus_namespace}.{QUEUE}.parked"


async def rows(mongo: MongoConnection) -> list[dict[str, Any]]:
    return await mongo.database["audit_logs"].find({}).sort("sequence", 1).to_list()


async def test_what_a_service_left_in_its_outbox_is_in_the_trail_once_under_its_name(
    bus: Bus, parking: tuple[str, str], mongo: MongoConnection
) -> None:
    outbox = Outbox(mongo.database)
    for action in ("address_allowed", "address_removed"):
        await outbox.add(told(action=action), subject=str(USER))
    again = await mongo.database["outbox"].find({}).to_list()
    relay = OutboxRelay(mongo.database, bus, source="portfolio")
    await relay.relay_batch()
    await eventually(lambda: _count(mongo, 2))
    # The relay died before it could remove them, and sends them once more; then something new.
    await mongo.database["outbox"].insert_many(again)
    await outbox.add(told(action="address_used"), subject=str(USER))
    await relay.relay_batch()
    await eventually(lambda: _count(mongo, 3))
    assert await _parked(*parking) == 0, "a repeat is no fault"
    found = await rows(mongo)
    assert [(row["stream"], row["sequence"], row["action"]) for row in found] == [
        ("portfolio", 1, "address_allowed"), ("portfolio", 2, "address_removed"), ("portfolio", 3, "address_used"),
    ]  # fmt: skip
    first = found[0]
    assert (first["user_id"], first["actor"], first["timestamp"]) == (USER, f"user:{USER}", NOON)
    assert (first["ip_address"], first["session_id"], first["details"]) == ("203.0.113.7", "s", {"asset": "BTC"})


@pytest.mark.parametrize(
    ("source", "event"),
    [
        ("trading", told()),
        ("auth", told()),
        ("mallory", told()),
        ("portfolio", told(action="")),
        ("portfolio", told(action="Not a word")),
        ("portfolio", told(actor="")),
        ("portfolio", told(user_id="x")),
        ("portfolio", told(resource="x" * 5_000)),
        ("portfolio", told(details={str(number): "" for number in range(DETAILS_MAX + 1)})),
    ],
)
async def test_what_nobody_may_tell_is_parked_and_leaves_nothing(
    bus: Bus, parking: tuple[str, str], mongo: MongoConnection, source: str, event: Audited
) -> None:
    for sender, sent, number in ((source, event, 1), ("portfolio", told(action="the_next"), 2)):
        await bus.send(
            OutgoingEvent(
                id=str(UUID(int=number)), type="common.v1.Audited", source=sender, subject=str(number), time=NOON,
                body=sent.SerializeToString(), required=True,
            )
        )  # fmt: skip
    await eventually(lambda: _parked(*parking), timeout_seconds=30)
    await eventually(lambda: _count(mongo, 1))
    assert [row["action"] for row in await rows(mongo)] == ["the_next"]


async def _count(mongo: MongoConnection, count: int) -> bool:
    return await mongo.database["audit_logs"].count_documents({}) == count


async def _parked(amqp_url: str, queue: str) -> int:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        found = await channel.get_queue(queue)
        return found.declaration_result.message_count or 0
