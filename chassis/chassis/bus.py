"""The connection to RabbitMQ: publishes events with confirms, keeps subscriptions alive through every outage."""

import asyncio
import random
from datetime import datetime
from typing import Self

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError
from aiormq.exceptions import PublishError
from google.protobuf.message import Message
from prometheus_client import Counter, Gauge

from chassis.errors import Unavailable
from chassis.events import BODY_BYTES_MAX, CONTENT_TYPE, OutgoingEvent, event_source, event_type
from chassis.logs import get_logger
from chassis.subscriptions import AnySubscription, Consumption, Subscription, declare_exchange
from chassis.tracing import current_traceparent

__all__ = ["Bus", "BusUnavailable", "Subscription", "Unroutable"]

FIRST_CONNECTION_SECONDS = 5.0  # how long a starting service waits for the bus before it goes on without
RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 5.0
CONNECT_TIMEOUT_SECONDS = 5.0
BUILD_TIMEOUT_SECONDS = 20.0  # to declare and consume everything; a queue without its leader answers nothing at all
PUBLISH_TIMEOUT_SECONDS = 5.0  # a broker that is blocked (memory, disk) confirms nothing
HEARTBEAT_SECONDS = 15

CONNECTED = Gauge("cryptovault_bus_connected", "1 while the bus is connected")
PUBLISHED = Counter("cryptovault_bus_published", "Events sent to the bus, by outcome", ["type", "outcome"])

log = get_logger(__name__)


class BusUnavailable(Unavailable):
    """The event was not confirmed. It may still arrive: send it again with the same id."""

    reason = "bus_unavailable"

    def __init__(self) -> None:
        super().__init__("The message bus does not answer.")


class Unroutable(Unavailable):
    """A required event found nobody who is bound to receive it. It was not kept."""

    reason = "event_unroutable"

    def __init__(self, *, type: str) -> None:  # noqa: A002 - the attribute's name in CloudEvents
        super().__init__(f"Nobody is subscribed to {type}.", type=type)


class Bus:
    """One connection for all publishers and subscribers of a process.

    It connects by itself and again after every loss, declares everything anew and resumes the subscriptions; we
    do this here rather than with aio-pika's robust classes because a channel that the broker closes (not the whole
    connection) must also start over, and in-flight handlers must end before their events come back.
    """

    def __init__(self, url: str, namespace: str) -> None:
        self._url = url
        self._namespace = namespace
        self._subscriptions: list[AnySubscription] = []
        self._consumptions: list[Consumption[Message]] = []
        self._connection: AbstractConnection | None = None
        self._publishing: AbstractExchange | None = None
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._changing = asyncio.Lock()
        self._supervisor: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, url: str, namespace: str = "") -> Self:
        """A bus that is connected, or will be as soon as the broker answers: a service starts without it."""
        bus = cls(url, namespace)
        bus._supervisor = asyncio.create_task(bus._stay_connected(), name="bus")
        await bus.connected(FIRST_CONNECTION_SECONDS)
        return bus

    @property
    def is_connected(self) -> bool:
        return self._connected.is_set()

    async def connected(self, timeout_seconds: float) -> bool:
        """Waits until the bus is connected and all subscriptions are running; False when that takes too long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._connected.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Handlers at work are cancelled; their events come again."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        async with self._changing:
            await self._disconnect()

    async def publish(
        self,
        event: Message,
        *,
        id: str,  # noqa: A002 - the attribute's name in CloudEvents
        subject: str,
        time: datetime,
        required: bool = False,
    ) -> None:
        """Sends an event and returns when the broker has it safe.

        Where nobody is bound it is dropped, unless `required`. A fact that must not be lost goes through the
        outbox instead.

        Raises:
            BusUnavailable: no confirmation came. Send it again with the same id.
            Unroutable: it is required and nobody is bound.
        """
        await self.send(
            OutgoingEvent(
                id=id,
                type=event_type(event),
                source=event_source(event),
                subject=subject,
                time=time,
                body=event.SerializeToString(),
                traceparent=current_traceparent(),
                required=required,
            )
        )

    async def send(self, event: OutgoingEvent) -> None:
        """As `publish`, for an event that is already in its form."""
        if len(event.body) > BODY_BYTES_MAX:
            raise ValueError(f"event {event.type} of {len(event.body)} bytes; at most {BODY_BYTES_MAX} are allowed")
        exchange = self._publishing
        if exchange is None:
            raise BusUnavailable
        message = aio_pika.Message(
            event.body,
            headers=dict(event.headers()),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=event.id,
            type=event.type,
            timestamp=event.time,
        )
        try:
            await exchange.publish(
                message, routing_key=event.type, mandatory=event.required, timeout=PUBLISH_TIMEOUT_SECONDS
            )
        except PublishError as error:
            PUBLISHED.labels(event.type, "unroutable").inc()
            raise Unroutable(type=event.type) from error
        except (AMQPError, DeliveryError, ChannelInvalidStateError, OSError, TimeoutError, RuntimeError) as error:
            # RuntimeError is aiormq's word for a connection that closes under a publish.
            PUBLISHED.labels(event.type, "failed").inc()
            raise BusUnavailable from error
        PUBLISHED.labels(event.type, "confirmed").inc()

    async def subscribe(self, subscription: AnySubscription) -> None:
        """Declares the subscription's queue and consumes it for the bus's life. Without a broker, once there is one."""
        async with self._changing:
            self._subscriptions.append(subscription)
            if self._connection is not None and self._connected.is_set():
                try:
                    await self._consume(self._connection, subscription)
                except (AMQPError, ChannelInvalidStateError, OSError, TimeoutError, RuntimeError) as error:
                    # The connection is going; the supervisor brings this subscription up with the next one.
                    log.warning("Subscription waits", event="subscription_waits", problem=repr(error))
                    self._lost.set()

    async def _stay_connected(self) -> None:
        pause_seconds = RECONNECT_SECONDS_MIN
        while True:
            try:
                async with self._changing, asyncio.timeout(BUILD_TIMEOUT_SECONDS):
                    await self._build()
            except (Exception, asyncio.CancelledError) as error:  # a process without its supervisor is deaf for ever
                if _asked_to_end(error):
                    raise
                log.warning("Bus not connected", event="bus_connect_failed", problem=repr(error))
            else:
                log.info("Bus connected", event="bus_connected", subscriptions=len(self._subscriptions))
                pause_seconds = RECONNECT_SECONDS_MIN
                await self._lost.wait()
                log.warning("Bus lost", event="bus_lost")
            async with self._changing:
                await self._disconnect()
            # Jitter, so that the services of a platform do not all knock in the same moment.
            await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, guards nothing
            pause_seconds = min(pause_seconds * 2, RECONNECT_SECONDS_MAX)

    async def _build(self) -> None:
        self._lost.clear()
        self._connection = connection = await aio_pika.connect(
            self._url, timeout=CONNECT_TIMEOUT_SECONDS, heartbeat=HEARTBEAT_SECONDS
        )
        connection.close_callbacks.add(lambda *_: self._lost.set())
        channel = await self._open_channel(connection)
        exchange = await declare_exchange(channel, self._namespace)
        # Queues before anything is published: a topic exchange drops what no queue is bound for.
        for subscription in self._subscriptions:
            await self._consume(connection, subscription)
        self._publishing = exchange
        CONNECTED.set(1)
        self._connected.set()

    async def _consume(self, connection: AbstractConnection, subscription: AnySubscription) -> None:
        # A channel each: the broker closes a channel for one consumer's mistake, and prefetch is counted per channel.
        channel = await self._open_channel(connection)
        consumption: Consumption[Message] = Consumption(
            subscription=subscription,
            namespace=self._namespace,
            channel=channel,
            exchange=await declare_exchange(channel, self._namespace),
        )
        self._consumptions.append(consumption)
        await consumption.declare()
        await consumption.start()

    async def _open_channel(self, connection: AbstractConnection) -> AbstractChannel:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        channel.close_callbacks.add(lambda *_: self._lost.set())
        return channel

    async def _disconnect(self) -> None:
        self._connected.clear()
        self._publishing = None
        CONNECTED.set(0)
        consumptions, self._consumptions = self._consumptions, []
        for consumption in consumptions:
            await consumption.stop()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                    await connection.close()
            except (Exception, asyncio.CancelledError) as error:  # it was already gone, which is why we are here
                if _asked_to_end(error):
                    raise


def _asked_to_end(error: BaseException) -> bool:
    """True for our own cancellation; aiormq also raises CancelledError for calls that die with their connection."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
