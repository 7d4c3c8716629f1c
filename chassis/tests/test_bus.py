import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aio_pika
import pytest
from chassis.bus import Bus, BusUnavailable, Unroutable
from chassis.embedded.ports import free_port_block
from chassis.embedded.rabbitmq import RabbitServer
from chassis.errors import Unavailable
from chassis.events import Envelope
from chassis.identity import current_caller
from chassis.subscriptions import Subscription
from chassis.testing import eventually
from chassis.tracing import current_traceparent, set_traceparent
from cryptovault.auth.v1.events_pb2 import SessionRevoked, UserVerified

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FAST = (0.01, 0.01)


class Recorder:
    """A handler that remembers what it saw and fails where it is told to."""

    def __init__(self, *, poison: str = "", error: Exception | None = None) -> None:
        self.seen: list[Envelope[UserVerified]] = []
        self._poison = poison
        self._error = error or ValueError("cannot digest this")

    async def __call__(self, envelope: Envelope[UserVerified]) -> None:
        self.seen.append(envelope)
        if envelope.event.user_id == self._poison:
            raise self._error

    def users(self) -> list[str]:
        return [envelope.event.user_id for envelope in self.seen]


@pytest.fixture
async def bus(amqp_url: str, bus_namespace: str) -> AsyncIterator[Bus]:
    bus = await Bus.connect(amqp_url, bus_namespace)
    assert bus.is_connected
    yield bus
    await bus.close()


def subscription(handler: Recorder, *, tries: int = 5) -> Subscription[UserVerified]:
    return Subscription(
        queue="portfolio.user-verified",
        event=UserVerified,
        handler=handler,
        tries=tries,
        retry_pauses_seconds=FAST,
    )


async def publish(bus: Bus, user: str, *, subject: str | None = None, required: bool = True) -> None:
    await bus.publish(
        UserVerified(user_id=user), id=f"event-{user}", subject=subject or user, time=NOW, required=required
    )


async def parked(amqp_url: str, queue: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        found = []
        place = await channel.get_queue(f"{queue}.parked")
        while (message := await place.get(fail=False)) is not None:
            found.append(message)
        return found


async def test_an_event_arrives_with_its_attributes(bus: Bus) -> None:
    handler = Recorder()
    await bus.subscribe(subscription(handler))
    set_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    traceparent = current_traceparent()
    await publish(bus, "ann", subject="user-ann")
    await eventually(lambda: handler.seen)
    [envelope] = handler.seen
    assert envelope.event == UserVerified(user_id="ann")
    assert (envelope.id, envelope.type, envelope.source) == ("event-ann", "auth.v1.UserVerified", "auth")
    assert (envelope.subject, envelope.time, envelope.attempt) == ("user-ann", NOW, 1)
    assert envelope.traceparent == traceparent


async def test_the_handler_works_in_the_name_of_the_event(bus: Bus) -> None:
    callers = []

    async def handler(envelope: Envelope[UserVerified]) -> None:
        callers.append(current_caller())

    await bus.subscribe(Subscription(queue="portfolio.user-verified", event=UserVerified, handler=handler))
    await publish(bus, "ann")
    await eventually(lambda: callers)
    assert (callers[0].service, callers[0].request_id) == ("auth", "event-ann")


async def test_a_required_event_nobody_is_bound_for_is_refused_and_an_optional_one_dropped(bus: Bus) -> None:
    with pytest.raises(Unroutable):
        await publish(bus, "ann")
    await publish(bus, "ann", required=False)


async def test_a_queue_declared_before_the_event_keeps_it_for_a_consumer_that_is_away(
    amqp_url: str, bus: Bus, bus_namespace: str
) -> None:
    first = await Bus.connect(amqp_url, bus_namespace)
    await first.subscribe(subscription(Recorder()))
    await first.close()
    await publish(bus, "ann")
    handler = Recorder()
    await bus.subscribe(subscription(handler))
    await eventually(lambda: handler.users() == ["ann"])


async def test_events_of_other_types_do_not_arrive(bus: Bus) -> None:
    handler = Recorder()
    await bus.subscribe(subscription(handler))
    await bus.publish(SessionRevoked(user_id="ann"), id="1", subject="ann", time=NOW)
    await publish(bus, "ben")
    await eventually(lambda: handler.users() == ["ben"])


async def test_poison_is_parked_with_its_reason_after_five_tries_while_others_go_on(
    amqp_url: str, bus: Bus, bus_namespace: str
) -> None:
    handler = Recorder(poison="poison")
    await bus.subscribe(subscription(handler))
    await publish(bus, "poison")
    for user in ("ann", "ben"):
        await publish(bus, user)
    messages = await eventually(lambda: parked(amqp_url, f"{bus_namespace}.portfolio.user-verified"))
    assert handler.users().count("poison") == 5
    assert {"ann", "ben"} <= set(handler.users())
    assert [envelope.attempt for envelope in handler.seen if envelope.event.user_id == "poison"] == [1, 2, 3, 4, 5]
    [message] = messages
    assert message.headers["x-reason"] == "ValueError: cannot digest this"
    assert message.headers["x-tries"] == 5
    assert message.headers["cloudEvents:id"] == "event-poison"
    assert UserVerified.FromString(message.body).user_id == "poison"


async def test_an_unreadable_message_is_parked_at_once(amqp_url: str, bus: Bus, bus_namespace: str) -> None:
    handler = Recorder()
    await bus.subscribe(subscription(handler))
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        channel = await connection.channel()
        await channel.default_exchange.publish(
            aio_pika.Message(b"\xff\xff"), routing_key=f"{bus_namespace}.portfolio.user-verified"
        )
    [message] = await eventually(lambda: parked(amqp_url, f"{bus_namespace}.portfolio.user-verified"))
    assert str(message.headers["x-reason"]).startswith("malformed")
    assert handler.seen == []


async def test_an_event_waits_while_something_it_needs_is_away(amqp_url: str, bus: Bus, bus_namespace: str) -> None:
    away = True
    handled = []

    async def handler(envelope: Envelope[UserVerified]) -> None:
        handled.append(envelope.attempt)
        if away:
            raise Unavailable("The database does not answer.")

    await bus.subscribe(
        Subscription(
            queue="portfolio.user-verified",
            event=UserVerified,
            handler=handler,
            tries=2,
            retry_pauses_seconds=FAST,
        )
    )
    await publish(bus, "ann")
    await eventually(lambda: len(handled) > 5)
    away = False
    seen = len(handled)
    await eventually(lambda: len(handled) > seen)
    assert set(handled) == {1}
    assert await parked(amqp_url, f"{bus_namespace}.portfolio.user-verified") == []


async def test_events_of_one_subject_keep_their_order_while_others_overtake(bus: Bus) -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def handler(envelope: Envelope[UserVerified]) -> None:
        if envelope.event.user_id == "slow-1":
            await gate.wait()
        order.append(envelope.event.user_id)

    await bus.subscribe(Subscription(queue="portfolio.user-verified", event=UserVerified, handler=handler))
    for user, subject in (("slow-1", "slow"), ("slow-2", "slow"), ("fast-1", "fast"), ("slow-3", "slow")):
        await publish(bus, user, subject=subject)
    await eventually(lambda: order == ["fast-1"])
    gate.set()
    await eventually(lambda: order == ["fast-1", "slow-1", "slow-2", "slow-3"])


async def test_an_event_whose_handler_died_with_the_connection_comes_again(
    amqp_url: str, bus: Bus, bus_namespace: str
) -> None:
    begun = asyncio.Event()

    async def hang(envelope: Envelope[UserVerified]) -> None:
        begun.set()
        await asyncio.Event().wait()

    dying = await Bus.connect(amqp_url, bus_namespace)
    await dying.subscribe(Subscription(queue="portfolio.user-verified", event=UserVerified, handler=hang))
    await publish(bus, "ann")
    await begun.wait()
    await dying.close()
    handler = Recorder()
    await bus.subscribe(subscription(handler))
    await eventually(lambda: handler.users() == ["ann"])


async def test_publishing_without_a_broker_fails_and_everything_resumes_when_it_is_back(tmp_path: Path) -> None:
    server = RabbitServer(port=free_port_block(3), folder=tmp_path)
    server.start()
    handler = Recorder()
    bus = await Bus.connect(server.url, "restart")
    try:
        await bus.subscribe(subscription(handler))
        await publish(bus, "before")
        await eventually(lambda: handler.users() == ["before"])
        # RabbitMQ writes a new quorum queue's name to disk within half a second; killed earlier, it loses the queue.
        await asyncio.sleep(1)
        server.kill()
        await eventually(lambda: not bus.is_connected)
        with pytest.raises(BusUnavailable):
            await publish(bus, "meanwhile")
        server.start()
        assert await bus.connected(20)
        await publish(bus, "after")
        await eventually(lambda: handler.users() == ["before", "after"])
    finally:
        await bus.close()
        server.stop()


async def test_a_service_starts_without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.bus.FIRST_CONNECTION_SECONDS", 0.2)
    bus = await Bus.connect(f"amqp://guest:guest@127.0.0.1:{free_port_block()}/", "nobody")
    await bus.subscribe(subscription(Recorder()))
    assert not bus.is_connected
    with pytest.raises(BusUnavailable):
        await publish(bus, "ann")
    await bus.close()
