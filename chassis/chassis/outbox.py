"""Events that commit with the change they tell of, and the relay that carries them to the bus."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from prometheus_client import Gauge
from pymongo.errors import PyMongoError

from chassis.bus import Bus
from chassis.cancellation import end_if_cancelled
from chassis.clock import Clock, SystemClock
from chassis.crash_points import crash_point
from chassis.errors import ErrorKind, ServiceError
from chassis.events import OutgoingEvent, event_source, event_type
from chassis.ids import Ids, RandomIds
from chassis.logs import get_logger
from chassis.mongo import MongoDatabase
from chassis.tracing import current_traceparent

COLLECTION = "outbox"
BATCH = 100  # rows per look; at 1 ms a confirm this is a tenth of a second of work
POLL_SECONDS = 0.2  # one find on an all but empty collection; a person does not notice this delay
HOLD_SECONDS_MIN = 0.5  # for a subject whose event was not taken: first pause, doubled up to the longest
HOLD_SECONDS_MAX = 15.0  # well under the 60 s in which events must flow after the bus has healed

WAITING = Gauge("cryptovault_outbox_waiting", "Committed events not yet on the bus, at most one batch")
OLDEST_SECONDS = Gauge("cryptovault_outbox_oldest_seconds", "Age of the oldest committed event not yet on the bus")

log = get_logger(__name__)


class Outbox:
    """Where a use case leaves its events, inside its transaction: they exist exactly if the change does."""

    def __init__(self, database: MongoDatabase, *, clock: Clock | None = None, ids: Ids | None = None) -> None:
        self._rows = database[COLLECTION]
        self._clock: Clock = clock or SystemClock()
        self._ids: Ids = ids or RandomIds()

    async def add(self, event: Message, subject: str, *, required: bool = True) -> None:
        """Records an event about `subject` (the aggregate's id); events of one subject are published in order.

        A `required` event waits until somebody is subscribed to it, so that a consumer that has never run yet
        misses nothing; otherwise it is dropped where nobody is.
        """
        await self._rows.insert_one(
            {
                # Ids grow with time, so that sorting by them is the order of insertion.
                "_id": str(self._ids.new()),
                "type": event_type(event),
                "source": event_source(event),
                "subject": subject,
                "time": self._clock.now(),
                "body": event.SerializeToString(),
                "traceparent": current_traceparent(),
                "required": required,
            }
        )


@dataclass(slots=True)
class _Hold:
    """A subject whose next event was not taken: left alone until then, so that the others go on."""

    until: float
    pause_seconds: float


class OutboxRelay:
    """Publishes what lies in the outbox and removes it. At least once, in order per subject; consumers have an inbox.

    Killed between the two, it publishes again. Several may run: each sends a subject's events in order, so the
    first copy of each still comes in order.
    """

    def __init__(self, database: MongoDatabase, bus: Bus, source: str = "", *, clock: Clock | None = None) -> None:
        self._rows = database[COLLECTION]
        self._bus = bus
        self._source = source
        self._clock: Clock = clock or SystemClock()
        self._held: dict[str, _Hold] = {}

    async def run(self) -> None:
        """Runs until cancelled. An outage of the database or the bus only delays it."""
        failures = 0
        while True:
            end_if_cancelled()
            try:
                sent = await self.relay_batch()
                failures = 0
            except (PyMongoError, ServiceError) as error:
                if isinstance(error, ServiceError) and error.kind is not ErrorKind.UNAVAILABLE:
                    raise
                failures += 1
                log.warning("Outbox waits", event="outbox_waits", problem=repr(error))
                await asyncio.sleep(min(POLL_SECONDS * 2**failures, HOLD_SECONDS_MAX))
                continue
            if not sent:
                await asyncio.sleep(POLL_SECONDS)

    async def relay_batch(self) -> int:
        """Publishes one batch; how many events the bus took."""
        if not self._bus.is_connected:
            await self._bus.connected(HOLD_SECONDS_MAX)
        now = self._clock.monotonic()
        # A bus that was away holds nobody back once it is there: only what is still refused is left alone.
        held = [subject for subject, hold in self._held.items() if hold.until > now]
        rows = await self._rows.find({"subject": {"$nin": held}}).sort("_id", 1).to_list(BATCH)
        WAITING.set(len(rows) + len(held))
        OLDEST_SECONDS.set((self._clock.now() - rows[0]["time"]).total_seconds() if rows else 0.0)
        by_subject: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            by_subject[row["subject"]].append(row)
        sent = [id_ for ids in await asyncio.gather(*map(self._send_in_order, by_subject.values())) for id_ in ids]
        if sent:
            crash_point("relay_after_publish")
            await self._rows.delete_many({"_id": {"$in": sent}})
        return len(sent)

    async def _send_in_order(self, rows: list[dict[str, Any]]) -> list[str]:
        sent: list[str] = []
        for row in rows:
            try:
                await self._bus.send(_event_of(row, self._source))
            except ServiceError as error:
                # Not taken: the rest of this subject waits behind it, the others go on.
                self._hold(row, error)
                return sent
            sent.append(row["_id"])
        self._held.pop(rows[0]["subject"], None)
        return sent

    def _hold(self, row: dict[str, Any], error: ServiceError) -> None:
        before = self._held.get(row["subject"])
        pause_seconds = min(before.pause_seconds * 2, HOLD_SECONDS_MAX) if before else HOLD_SECONDS_MIN
        self._held[row["subject"]] = _Hold(self._clock.monotonic() + pause_seconds, pause_seconds)
        log.warning(
            "Event waits in the outbox",
            event="outbox_event_waits",
            event_id=row["_id"],
            type=row["type"],
            reason=error.reason,
            pause_seconds=pause_seconds,
        )


def _event_of(row: dict[str, Any], source: str) -> OutgoingEvent:
    return OutgoingEvent(
        id=row["_id"],
        type=row["type"],
        source=source or row["source"],
        subject=row["subject"],
        time=row["time"].astimezone(UTC) if isinstance(row["time"], datetime) else row["time"],
        body=row["body"],
        traceparent=row["traceparent"],
        required=row["required"],
    )
