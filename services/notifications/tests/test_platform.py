"""Service and worker as they run, on real Mongo and RabbitMQ; the neighbours behind their contracts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aio_pika
import pytest
from bson import json_util
from chassis.bus import Bus
from chassis.embedded.ports import free_port_block
from chassis.errors import ErrorKind, RemoteBugError, RemoteError
from chassis.grpc_client import open_channel
from chassis.mongo import MongoConnection
from chassis.service import Runtime
from chassis.testing import eventually
from chassis.testing.services import identity_of
from cryptovault.auth.v1.events_pb2 import SecondFactorRemoved
from cryptovault.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from cryptovault.trading.v1.events_pb2 import JournalAdvanced
from notifications.bootstrap import compose
from notifications.settings import Settings
from notifications.worker.application import CONCURRENCY
from werkzeug import Response

CODE = "736251"
WORKER_SECONDS = 60.0  # a whole Python process has to start, on a busy machine
ORDER_MAILS = 60  # more than the worker sends at once

NOTICE = notifications_pb2.CODE_PURPOSE_SECURITY_NOTICE


def request(message_id: str = "m1", *, code: str = CODE, **changes: Any) -> notifications_pb2.SendCodeRequest:
    asked = notifications_pb2.SendCodeRequest(
        message_id=message_id,
        user_id="u1",
        email="ann@example.org",
        name="Ann",
        code=code,
        purpose=notifications_pb2.CODE_PURPOSE_VERIFY_EMAIL,
    )
    asked.expires_at.FromDatetime(datetime.now(UTC) + timedelta(minutes=10))
    asked.facts.update(changes.pop("facts", {}))
    for name, value in changes.items():
        setattr(asked, name, value)
    return asked


@pytest.fixture
def start(settings: Settings) -> Callable[[], Any]:
    @asynccontextmanager
    async def started() -> AsyncIterator[Any]:
        runtime = Runtime(settings)
        await compose(runtime)
        serving = asyncio.create_task(runtime.serve())
        try:
            async with open_channel(
                settings.listen, to="notifications", identity=identity_of("auth"), deadline_seconds=30
            ) as channel:
                yield notifications_pb2_grpc.NotificationsServiceStub(channel)
        finally:
            runtime.stopping.set()
            assert await serving == 0

    return started


async def queued_tasks(amqp_url: str, namespace: str) -> list[Any]:
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        queue = await channel.get_queue(f"{namespace}.notifications.codes")
        found = []
        while (message := await queue.get(fail=False)) is not None:
            found.append(message)
        return found


async def everything_in(mongo: MongoConnection) -> str:
    rows = [
        row
        for name in await mongo.database.list_collection_names()
        for row in await mongo.database[name].find().to_list()
    ]
    return json_util.dumps(rows)


async def mail(mongo: MongoConnection, mail_id: str) -> dict[str, Any]:
    row = await mongo.database["mails"].find_one({"_id": mail_id})
    assert row is not None
    return row


async def test_a_code_reaches_its_person_and_stands_nowhere_in_the_clear(
    start: Any, start_worker: Any, mongo: MongoConnection, provider: Any
) -> None:
    with start_worker() as worker:
        async with start() as stub:
            await eventually(worker.ready, WORKER_SECONDS)
            await stub.SendCode(request())
            await stub.SendCode(request())
            await eventually(lambda: provider.mails, WORKER_SECONDS)
            row = await eventually(lambda: sent(mongo, "m1"))
    [sent_mail] = provider.mails
    assert provider.recipients() == ["ann@example.org"]
    assert all(CODE in part["value"] for part in sent_mail["content"])
    assert (row["kind"], row["recipient"], row["provider_id"]) == ("verify_email", "ann@example.org", "provider-1")
    assert CODE not in await everything_in(mongo)
    assert CODE not in worker.log()


async def sent(mongo: MongoConnection, mail_id: str) -> dict[str, Any] | None:
    row = await mongo.database["mails"].find_one({"_id": mail_id})
    return row if row is not None and row["status"] == "sent" else None


async def test_the_task_in_the_broker_is_sealed_and_expires_with_the_code(
    start: Any, amqp_url: str, bus_namespace: str
) -> None:
    async with start() as stub:
        await stub.SendCode(request())
    [task] = await queued_tasks(amqp_url, bus_namespace)
    assert CODE.encode() not in task.body
    assert CODE not in str(task.headers)
    assert b"ann@example.org" not in task.body
    assert 500 < task.expiration <= 600


async def test_the_same_id_with_another_code_is_refused(start: Any) -> None:
    async with start() as stub:
        await stub.SendCode(request())
        with pytest.raises(RemoteError) as refused:
            await stub.SendCode(request(code="000000"))
    assert (refused.value.kind, refused.value.reason) == (ErrorKind.CONFLICT, "message_id_reused")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"message_id": ""}, "message_id"),
        ({"email": ""}, "email"),
        ({"email": "a" * 400}, "email"),
        ({"code": ""}, "code"),
        ({"purpose": notifications_pb2.CODE_PURPOSE_UNSPECIFIED}, "purpose"),
        ({"purpose": 99}, "purpose"),
        ({"purpose": NOTICE}, "facts"),
        ({"purpose": NOTICE, "facts": {"event": "made_up"}}, "facts"),
        ({"purpose": NOTICE, "facts": {"event": "new_device", "color": "red"}}, "facts"),
        ({"purpose": NOTICE, "facts": {"event": "new_device", "device": "d" * 400}}, "facts"),
    ],
)
async def test_a_malformed_request_names_its_field(
    start: Any, mongo: MongoConnection, changes: dict[str, Any], field: str
) -> None:
    async with start() as stub:
        with pytest.raises(RemoteError) as refused:
            await stub.SendCode(request(**changes))
    assert refused.value.kind is ErrorKind.INVALID
    assert refused.value.details["field"] == field
    assert await mongo.database["mails"].count_documents({}) == 0


async def test_an_expired_code_is_refused_and_nobody_but_auth_may_ask(start: Any, settings: Settings) -> None:
    async with start() as stub:
        late = request()
        late.expires_at.FromDatetime(datetime(2020, 1, 1, tzinfo=UTC))
        with pytest.raises(RemoteError) as refused:
            await stub.SendCode(late)
        assert refused.value.reason == "code_expired"
        async with open_channel(
            settings.listen, to="notifications", identity=identity_of("gateway"), deadline_seconds=30
        ) as channel:
            stranger: Any = notifications_pb2_grpc.NotificationsServiceStub(channel)
            with pytest.raises(RemoteBugError, match="service_not_allowed"):
                await stranger.SendCode(request("m2"))


async def test_a_busy_provider_is_asked_again_through_the_delay_queue(
    start: Any, start_worker: Any, mongo: MongoConnection, provider: Any
) -> None:
    provider.answers.append(Response(status=503))
    with start_worker() as worker:
        async with start() as stub:
            await eventually(worker.ready, WORKER_SECONDS)
            await stub.SendCode(request())
            row = await eventually(lambda: sent(mongo, "m1"), WORKER_SECONDS)
    assert row["attempts"] == 2
    assert provider.requests == 2


async def test_a_filled_order_is_told_once_in_the_application_and_by_mail(  # noqa: PLR0917 - fixtures
    start: Any,
    start_worker: Any,
    mongo: MongoConnection,
    provider: Any,
    neighbours: Any,
    settings: Settings,
) -> None:
    neighbours.contacts["u1"] = ("ann@example.org", "Ann")
    neighbours.close_order("o1", "u1")
    neighbours.close_order("o2", "u1", status="cancelled")
    neighbours.close_order("o3", "house")
    with start_worker() as worker:
        async with start():
            await eventually(worker.ready, WORKER_SECONDS)
            await eventually(lambda: provider.mails, WORKER_SECONDS)
        # A restart goes on behind what was told.
        neighbours.close_order("o4", "u1")
        async with start():
            bus = await Bus.connect(settings.required("amqp_url"), settings.bus_namespace)
            for number in range(3):
                await bus.publish(
                    JournalAdvanced(batch=4), id=f"bell-{number}", subject="journal", time=datetime.now(UTC)
                )
            await eventually(lambda: len(provider.mails) == 2, WORKER_SECONDS)
            await eventually(lambda: sent(mongo, "order-filled:o4"))
            await bus.close()
    notes = await mongo.database["notifications"].find().sort("_id", 1).to_list()
    assert [note["_id"] for note in notes] == ["order-filled:o1", "order-filled:o4"]
    assert {note["user_id"] for note in notes} == {"u1"}
    assert provider.recipients() == ["ann@example.org", "ann@example.org"]
    assert provider.mails[0]["subject"] == "Bought 0.5 BTC"
    assert "50000.00 USD" in provider.mails[0]["content"][0]["value"]
    assert set(neighbours.callers) == {"notifications"}


async def test_a_code_leaves_while_order_mails_fill_the_queue_and_the_worker(
    start: Any, start_worker: Any, mongo: MongoConnection, provider: Any, neighbours: Any
) -> None:
    provider.takes_order_mails.clear()
    for number in range(ORDER_MAILS):
        neighbours.contacts[f"u{number}"] = (f"person-{number}@example.org", "Bo")
        neighbours.close_order(f"o{number}", f"u{number}")
    with start_worker() as worker:
        async with start() as stub:
            await eventually(worker.ready, WORKER_SECONDS)
            await eventually(lambda: provider.requests >= CONCURRENCY, WORKER_SECONDS)
            await stub.SendCode(request())
            await eventually(lambda: provider.mails, WORKER_SECONDS)
            # The order mails have neither been taken nor given up meanwhile: the code has passed them.
            assert provider.recipients() == ["ann@example.org"]
            assert await mongo.database["mails"].count_documents({"reason": {"$ne": None}}) == 0
            provider.takes_order_mails.set()
            await eventually(lambda: len(provider.mails) == ORDER_MAILS + 1, WORKER_SECONDS)
    assert len(set(provider.recipients())) == ORDER_MAILS + 1


async def test_whose_second_factor_was_removed_hears_of_it_once_and_before_what_orders_did(  # noqa: PLR0917 - fixtures
    start: Any, start_worker: Any, mongo: MongoConnection, provider: Any, neighbours: Any, settings: Settings
) -> None:
    neighbours.contacts["u1"] = ("ann@example.org", "Ann")
    provider.takes_order_mails.clear()
    for number in range(ORDER_MAILS):
        neighbours.contacts[f"trader{number}"] = (f"person-{number}@example.org", "Bo")
        neighbours.close_order(f"o{number}", f"trader{number}")
    with start_worker() as worker:
        async with start():
            await eventually(worker.ready, WORKER_SECONDS)
            await eventually(lambda: provider.requests >= CONCURRENCY, WORKER_SECONDS)
            bus = await Bus.connect(settings.required("amqp_url"), settings.bus_namespace)
            removed = SecondFactorRemoved(user_id="u1")
            removed.removed_at.FromDatetime(datetime(2026, 3, 1, 12, 30, tzinfo=UTC))
            for event_id in ("e1", "e1", "e2"):
                await bus.publish(removed, id=event_id, subject="u1", time=datetime.now(UTC), required=True)
            await eventually(lambda: sent(mongo, "notice:e1"), WORKER_SECONDS)
            await eventually(lambda: sent(mongo, "notice:e2"), WORKER_SECONDS)
            await bus.close()
            # The order mails have neither been taken nor given up meanwhile: the notices have passed them.
            assert provider.recipients() == ["ann@example.org", "ann@example.org"]
            assert await mongo.database["mails"].count_documents({"reason": {"$ne": None}}) == 0
            provider.takes_order_mails.set()
    assert "2026-03-01 12:30 UTC" in provider.mails[0]["content"][0]["value"]


async def test_without_a_broker_the_caller_hears_so_and_may_repeat(
    environment: dict[str, str], mongo: MongoConnection
) -> None:
    environment["amqp_url"] = f"amqp://guest:guest@127.0.0.1:{free_port_block()}/"
    runtime = Runtime(Settings.model_validate(environment))
    await compose(runtime)
    serving = asyncio.create_task(runtime.serve())
    try:
        async with open_channel(
            environment["listen"], to="notifications", identity=identity_of("auth"), deadline_seconds=30
        ) as channel:
            stub: Any = notifications_pb2_grpc.NotificationsServiceStub(channel)
            with pytest.raises(RemoteError) as refused:
                await stub.SendCode(request())
            assert refused.value.kind is ErrorKind.UNAVAILABLE
            assert (await mail(mongo, "m1"))["status"] == "queued"
    finally:
        runtime.stopping.set()
        await serving
