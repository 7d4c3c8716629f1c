"""Consuming one event type from one queue: in order per subject, tried again, parked with its reason, never lost."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage, AbstractQueue
from google.protobuf.message import Message as ProtobufMessage
from prometheus_client import Counter

from chassis.cancellation import end_if_cancelled
from chassis.errors import ErrorKind, ServiceError
from chassis.events import Envelope, MalformedEvent, event_type, open_envelope
from chassis.identity import Caller, use_caller
from chassis.logs import get_logger
from chassis.namespaces import qualified
from chassis.tracing import set_traceparent, span

E = TypeVar("E", bound=ProtobufMessage)

TRIES = 5  # of one event before it is parked: about two minutes with the pauses below
RETRY_PAUSES_SECONDS = (0.1, 1.0, 5.0, 25.0, 60.0)  # after the first, second, ... failure; the last one repeats
PREFETCH = 32  # unacknowledged events per queue: enough to keep different subjects busy side by side
# Deliveries that ended without an answer, because the process died with them: past this it is the event that kills.
DELIVERY_LIMIT = 10
PARK_TIMEOUT_SECONDS = 5.0
REASON_LENGTH_MAX = 500  # of a parked event's reason; enough for an error's sentence

EVENTS_HANDLED = Counter("cryptovault_events_handled", "Events consumed, by outcome", ["queue", "outcome"])

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription(Generic[E]):
    """One queue for one event type. `handler` may be called more than once per event: it uses an inbox.

    An error of kind UNAVAILABLE means that something the handler needs is away: the event waits for it and is
    not counted as failed. Any other error counts as a try; after `tries` the event is parked in `<queue>.parked`.
    """

    queue: str
    event: type[E]
    handler: Callable[[Envelope[E]], Awaitable[None]]
    tries: int = TRIES
    retry_pauses_seconds: tuple[float, ...] = RETRY_PAUSES_SECONDS


@dataclass(slots=True)
class Consumption(Generic[E]):
    """A subscription at work on one channel. Made anew with every connection."""

    subscription: Subscription[E]
    namespace: str
    channel: AbstractChannel
    exchange: AbstractExchange
    _queue: AbstractQueue = field(init=False)
    _tail_of_subject: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    @property
    def queue_name(self) -> str:
        return qualified(self.namespace, self.subscription.queue)

    @property
    def parking_name(self) -> str:
        return f"{self.queue_name}.parked"

    async def declare(self) -> None:
        """Creates the queue, its parking place and the binding. From then on nothing that is published is missed."""
        await self.channel.declare_queue(self.parking_name, durable=True, arguments={"x-queue-type": "quorum"})
        self._queue = await self.channel.declare_queue(
            self.queue_name,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-delivery-limit": DELIVERY_LIMIT,
                # Order per subject needs one reader; another instance takes over when this one goes.
                "x-single-active-consumer": True,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": self.parking_name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        await self._queue.bind(self.exchange, routing_key=event_type(self.subscription.event))

    async def start(self) -> None:
        await self.channel.set_qos(prefetch_count=PREFETCH)
        await self._queue.consume(self._receive)

    async def stop(self) -> None:
        """Abandons what is being handled; the broker will deliver it again."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _receive(self, message: AbstractIncomingMessage) -> None:
        subject = str(message.headers.get("cloudEvents:subject", ""))
        # Each event waits for the one before it of the same subject; other subjects go on beside it.
        previous = self._tail_of_subject.get(subject)
        task = asyncio.create_task(self._after(previous, message), name=f"{self.queue_name} {subject}")
        self._tail_of_subject[subject] = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._forget(subject, done))

    def _forget(self, subject: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._tail_of_subject.get(subject) is task:
            del self._tail_of_subject[subject]
        if not task.cancelled() and task.exception() is not None:
            # Only acknowledging or parking can get here, when the connection is gone: it will be delivered again.
            log.warning(
                "Event left to the broker",
                event="event_left_to_broker",
                queue=self.queue_name,
                problem=repr(task.exception()),
            )

    async def _after(self, previous: asyncio.Task[None] | None, message: AbstractIncomingMessage) -> None:
        if previous is not None:
            await asyncio.wait({previous})
        try:
            envelope = open_envelope(self.subscription.event, headers=message.headers, body=message.body)
        except MalformedEvent as error:
            await self._park(message, reason=f"malformed: {error}", tries=0)
            return
        set_traceparent(envelope.traceparent)
        caller = Caller(service=envelope.source, user_id=None, session_id=None, request_id=envelope.id, address=None)
        with use_caller(caller), span(f"consume {self.subscription.queue}"):
            await self._handle(message, envelope)

    async def _handle(self, message: AbstractIncomingMessage, envelope: Envelope[E]) -> None:
        failures = pauses = 0
        while True:
            end_if_cancelled()
            try:
                await self.subscription.handler(replace(envelope, attempt=failures + 1))
            except Exception as error:
                # Counted, logged, and in the end parked with its reason: the queue must not stop for one event.
                waits = isinstance(error, ServiceError) and error.kind is ErrorKind.UNAVAILABLE
                failures += not waits
                log.exception(
                    "Event not handled",
                    event="event_failed",
                    queue=self.queue_name,
                    event_id=envelope.id,
                    failures=failures,
                )
                EVENTS_HANDLED.labels(self.subscription.queue, "waited" if waits else "failed").inc()
                if failures >= self.subscription.tries:
                    await self._park(message, reason=f"{type(error).__name__}: {error}", tries=failures)
                    return
            else:
                await message.ack()
                EVENTS_HANDLED.labels(self.subscription.queue, "done").inc()
                return
            schedule = self.subscription.retry_pauses_seconds
            await asyncio.sleep(schedule[min(pauses, len(schedule) - 1)])
            pauses += 1

    async def _park(self, message: AbstractIncomingMessage, *, reason: str, tries: int) -> None:
        parked = Message(
            message.body,
            headers={
                **message.headers,
                "x-reason": reason[:REASON_LENGTH_MAX],
                "x-tries": tries,
                "x-parked-at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
            content_type=message.content_type,
            message_id=message.message_id,
            type=message.type,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        # Confirmed in its new place before it leaves the old one: rather twice than never.
        await self.channel.default_exchange.publish(
            parked, routing_key=self.parking_name, mandatory=True, timeout=PARK_TIMEOUT_SECONDS
        )
        await message.ack()
        EVENTS_HANDLED.labels(self.subscription.queue, "parked").inc()
        log.error(
            "Event parked",
            event="event_parked",
            queue=self.queue_name,
            event_id=message.message_id,
            problem=reason[:REASON_LENGTH_MAX],
        )


EXCHANGE = "cryptovault.events"


async def declare_exchange(channel: AbstractChannel, namespace: str) -> AbstractExchange:
    return await channel.declare_exchange(qualified(namespace, EXCHANGE), ExchangeType.TOPIC, durable=True)


AnySubscription = Subscription[Any]
