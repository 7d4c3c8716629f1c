import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chassis.bus import Bus
from chassis.embedded.ports import free_port_block
from chassis.embedded.rabbitmq import RabbitServer
from chassis.events import Envelope
from chassis.inbox import Inbox
from chassis.mongo import MongoConnection, MongoDatabase, Transactions
from chassis.outbox import Outbox, OutboxRelay
from chassis.subscriptions import Subscription
from chassis.testing import eventually
from cryptovault.auth.v1.events_pb2 import SessionRevoked, UserVerified


@pytest.fixture
async def bus(amqp_url: str, bus_namespace: str) -> AsyncIterator[Bus]:
    bus = await Bus.connect(amqp_url, bus_namespace)
    yield bus
    await bus.close()


@pytest.fixture
async def relay(mongo_database: MongoDatabase, bus: Bus) -> AsyncIterator[OutboxRelay]:
    relay = OutboxRelay(mongo_database, bus, source="auth")
    running = asyncio.create_task(relay.run())
    yield relay
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Recorder:
    def __init__(self) -> None:
        self.seen: list[Envelope[UserVerified]] = []

    async def __call__(self, envelope: Envelope[UserVerified]) -> None:
        self.seen.append(envelope)

    def users(self) -> list[str]:
        return [envelope.event.user_id for envelope in self.seen]

    def subscription(self) -> Subscription[UserVerified]:
        return Subscription(queue="portfolio.user-verified", event=UserVerified, handler=self)


async def test_an_event_of_a_committed_transaction_is_published_and_leaves_the_outbox(
    mongo_database: MongoDatabase, transactions: Transactions, bus: Bus, relay: OutboxRelay
) -> None:
    handler = Recorder()
    await bus.subscribe(handler.subscription())
    outbox = Outbox(mongo_database)
    await transactions.run(lambda: outbox.add(UserVerified(user_id="ann"), "ann"))
    await eventually(lambda: handler.users() == ["ann"])
    assert handler.seen[0].source == "auth"
    assert abs((datetime.now(UTC) - handler.seen[0].time).total_seconds()) < 60
    await eventually(lambda: empty(mongo_database))


async def test_an_aborted_transaction_publishes_nothing(
    mongo_database: MongoDatabase, transactions: Transactions, bus: Bus, relay: OutboxRelay
) -> None:
    handler = Recorder()
    await bus.subscribe(handler.subscription())
    outbox = Outbox(mongo_database)

    async def work() -> None:
        await outbox.add(UserVerified(user_id="ann"), "ann")
        raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await transactions.run(work)
    await transactions.run(lambda: outbox.add(UserVerified(user_id="ben"), "ben"))
    await eventually(lambda: handler.users() == ["ben"])


async def test_events_of_one_subject_are_published_in_the_order_they_were_added(
    mongo_database: MongoDatabase, bus: Bus
) -> None:
    handler = Recorder()
    await bus.subscribe(handler.subscription())
    outbox = Outbox(mongo_database)
    for number in range(30):
        await outbox.add(UserVerified(user_id=str(number)), f"subject-{number % 3}")
    await OutboxRelay(mongo_database, bus).relay_batch()
    await eventually(lambda: len(handler.seen) == 30)
    for subject in range(3):
        users = [int(user) for user in handler.users() if int(user) % 3 == subject]
        assert users == sorted(users)


async def test_a_required_event_waits_for_its_first_subscriber_and_delays_no_other_subject(
    mongo_database: MongoDatabase, bus: Bus, relay: OutboxRelay
) -> None:
    handler = Recorder()
    await bus.subscribe(handler.subscription())
    outbox = Outbox(mongo_database)
    await outbox.add(SessionRevoked(user_id="ann"), "ann")
    await outbox.add(UserVerified(user_id="ann"), "ann")
    await outbox.add(UserVerified(user_id="ben"), "ben")
    await eventually(lambda: handler.users() == ["ben"])
    revoked: list[str] = []

    async def on_revoked(envelope: Envelope[SessionRevoked]) -> None:
        revoked.append(envelope.event.user_id)

    await bus.subscribe(Subscription(queue="gateway.session-revoked", event=SessionRevoked, handler=on_revoked))
    await eventually(lambda: revoked == ["ann"])
    await eventually(lambda: handler.users() == ["ben", "ann"])


async def test_an_optional_event_without_a_subscriber_is_dropped(mongo_database: MongoDatabase, bus: Bus) -> None:
    await Outbox(mongo_database).add(SessionRevoked(user_id="ann"), "ann", required=False)
    assert await OutboxRelay(mongo_database, bus).relay_batch() == 1
    assert await empty(mongo_database)


async def test_a_relay_killed_between_publishing_and_removing_publishes_again_and_the_inbox_applies_once(
    mongo: MongoConnection,
    mongo_url: str,
    amqp_url: str,
    bus_namespace: str,
    bus: Bus,
) -> None:
    deliveries: list[str] = []
    inbox = Inbox(mongo.database, mongo.transactions)

    async def credit(envelope: Envelope[UserVerified]) -> None:
        async def work() -> None:
            await mongo.database["credits"].insert_one({"user": envelope.event.user_id})

        await inbox.once("portfolio.user-verified", envelope.id, work)
        deliveries.append(envelope.id)

    await bus.subscribe(Subscription(queue="portfolio.user-verified", event=UserVerified, handler=credit))
    await Outbox(mongo.database).add(UserVerified(user_id="ann"), "ann")
    program = textwrap.dedent(
        f"""
        import asyncio
        from chassis.bus import Bus
        from chassis.crash_points import arm_crash_point
        from chassis.mongo import connect
        from chassis.outbox import OutboxRelay

        async def main():
            arm_crash_point("relay_after_publish")
            connection = connect({mongo_url!r}, {mongo.database.name!r})
            bus = await Bus.connect({amqp_url!r}, {bus_namespace!r})
            await OutboxRelay(connection.database, bus).run()

        asyncio.run(main())
        """
    )
    killed = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], check=False, timeout=120, env=os.environ
    )
    assert killed.returncode == -signal.SIGKILL
    await eventually(lambda: len(deliveries) == 1)
    assert not await empty(mongo.database)
    await OutboxRelay(mongo.database, bus).relay_batch()
    await eventually(lambda: len(deliveries) == 2)
    assert deliveries[0] == deliveries[1]
    assert await mongo.database["credits"].count_documents({}) == 1
    assert await empty(mongo.database)


async def test_what_is_committed_while_the_bus_is_down_is_published_when_it_is_back(
    mongo_database: MongoDatabase, tmp_path: Path
) -> None:
    server = RabbitServer(port=free_port_block(3), folder=tmp_path)
    server.start()
    handler = Recorder()
    bus = await Bus.connect(server.url, "outage")
    running = asyncio.create_task(OutboxRelay(mongo_database, bus).run())
    try:
        await bus.subscribe(handler.subscription())
        server.stop()
        await eventually(lambda: not bus.is_connected)
        outbox = Outbox(mongo_database)
        for number in range(5):
            await outbox.add(UserVerified(user_id=str(number)), "one")
        server.start()
        await eventually(lambda: list(dict.fromkeys(handler.users())) == ["0", "1", "2", "3", "4"], timeout_seconds=60)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bus.close()
        server.stop()


async def empty(database: MongoDatabase) -> bool:
    return await database["outbox"].count_documents({}) == 0
