"""The exchange's journal, as far as it tells who did what.

An entry for every act: an order placed, amended or cancelled, every movement of money, every change by an operator.
What the exchange does by itself in consequence (trades, triggers, expiries) is in its journal, which has a chain too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import grpc
from chassis.ids import Ids
from chassis.journal_consumer import Entry
from cryptovault.trading.v1 import events_pb2, trading_pb2, trading_pb2_grpc

from auth.domain.audit import AuditEntry

JOURNAL_DEADLINE_SECONDS = 5.0  # up to 4 MiB of batches, in no hurry
EXCHANGE = "trading"  # who acts where nobody asked
_USER_PREFIX = "user:"
_SUBJECTS = {"asset_set": "asset", "asset_frozen": "asset", "asset_unfrozen": "asset", "user_fees_set": "user"}


class UnknownJournalEvent(Exception):
    """The exchange writes events that this version does not know: to skip one could be to hide an act."""


class TradingJournal:
    def __init__(self, channel: grpc.aio.Channel, ids: Ids) -> None:
        self._stub = trading_pb2_grpc.TradingQueryServiceStub(channel)
        self._ids = ids

    async def read(self, after: int, limit: int) -> Sequence[Entry[Sequence[AuditEntry]]]:
        response = await self._stub.ReadJournal(
            trading_pb2.ReadJournalRequest(after_batch=after, limit=limit), timeout=JOURNAL_DEADLINE_SECONDS
        )
        return [Entry(batch.number, batch.digest, acts_of(batch, self._ids)) for batch in response.batches]


def acts_of(batch: events_pb2.JournalBatch, ids: Ids) -> Sequence[AuditEntry]:
    """Raises UnknownJournalEvent."""
    time = batch.time.ToDatetime(tzinfo=UTC)
    entries = []
    for event in batch.events:
        kind = event.WhichOneof("event")
        if kind not in _READERS:
            raise UnknownJournalEvent(f"batch {batch.number} holds an event of kind {kind!r}")
        act = _READERS[kind](event)
        if act is not None:
            entries.append(_entry(act, event, ids.new(), time))
    return tuple(entries)


class _Act(NamedTuple):
    action: str
    user_id: str  # whose account it concerns; empty: nobody's
    resource: str
    details: dict[str, str]


def _placed(event: events_pb2.JournalEvent) -> _Act:
    placed = event.order_placed
    details = _told(placed, "market", "side", "type", "quantity", "quote_quantity", "price", "stop_price")
    return _Act("order_placed", placed.user_id, f"order:{placed.order_id}", details)


def _amended(event: events_pb2.JournalEvent) -> _Act:
    amended = event.order_amended
    details = _told(amended, "market", "price", "quantity")
    return _Act("order_amended", amended.user_id, f"order:{amended.order_id}", details)


def _closed(event: events_pb2.JournalEvent) -> _Act | None:
    if not event.HasField("actor"):
        return None  # filled or expired
    closed = event.order_closed
    details = _told(closed, "market", "filled_quantity", "reason")
    return _Act(f"order_{closed.status}", closed.user_id, f"order:{closed.order_id}", details)


def _posted(event: events_pb2.JournalEvent) -> _Act:
    posted = event.transferred
    details = _told(posted, "kind", "transfer_id", "hold_key")
    return _transfer(event, "transfer_posted", posted.business_key, posted.postings, details)


def _held(event: events_pb2.JournalEvent) -> _Act:
    held = event.transfer_held
    return _transfer(event, "transfer_held", held.business_key, held.postings, _told(held, "kind", "transfer_id"))


def _released(event: events_pb2.JournalEvent) -> _Act:
    released = event.transfer_released
    details = _told(released, "kind", "transfer_id")
    return _transfer(event, f"transfer_{released.end}", released.hold_key, released.released, details)


def _operator(event: events_pb2.JournalEvent) -> _Act:
    acted = event.operator_acted
    subject = _SUBJECTS.get(acted.act, "market")
    user_id = acted.subject if subject == "user" else ""
    return _Act(acted.act, user_id, f"{subject}:{acted.subject}", _told(acted, "change"))


def _consequence(_event: events_pb2.JournalEvent) -> None:
    return None


_READERS: Mapping[str | None, Callable[[events_pb2.JournalEvent], _Act | None]] = {
    "order_placed": _placed,
    "order_amended": _amended,
    "order_closed": _closed,
    "order_triggered": _consequence,
    "traded": _consequence,
    "transferred": _posted,
    "transfer_held": _held,
    "transfer_released": _released,
    "operator_acted": _operator,
}


def _transfer(
    event: events_pb2.JournalEvent,
    action: str,
    key: str,
    postings: Iterable[events_pb2.Posting],
    details: dict[str, str],
) -> _Act:
    """One per transfer, on the account of the user who asked, else of the first whose money it is."""
    listed = list(postings)
    users = [one.account.removeprefix(_USER_PREFIX) for one in listed if one.account.startswith(_USER_PREFIX)]
    asked = event.actor.user_id
    user_id = asked if asked in users else next(iter(users), asked)
    moves = "; ".join(f"{one.account} {one.amount} {one.asset}" for one in listed)
    return _Act(action, user_id, f"transfer:{key}", details | {"postings": moves})


def _entry(act: _Act, event: events_pb2.JournalEvent, entry_id: UUID, time: datetime) -> AuditEntry:
    actor = event.actor
    return AuditEntry(
        id=entry_id,
        user_id=_user(act.user_id),
        actor=f"{_USER_PREFIX}{actor.user_id}" if actor.user_id else actor.credential_id or EXCHANGE,
        action=act.action,
        resource=act.resource,
        address=actor.address or None,
        session_id=actor.credential_id if actor.user_id and actor.credential_id else None,
        request_id=actor.request_id,
        timestamp=time,
        details=act.details | ({"reason": event.reason} if event.reason else {}),
    )


def _told(message: object, *names: str) -> dict[str, str]:
    return {name: text for name in names if (text := str(getattr(message, name)))}


def _user(user_id: str) -> UUID | None:
    """None where it is nobody's; an id that is none of auth's stays readable in `actor` and `postings`."""
    try:
        return UUID(user_id)
    except ValueError:
        return None
