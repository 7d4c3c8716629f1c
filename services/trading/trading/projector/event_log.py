"""One user's private log: the journal, read through its index of users."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptovault.trading.v1 import trading_pb2

from trading.api.messages import user_event_message
from trading.domain.events import Event
from trading.domain.markets import Market
from trading.domain.queries import user_cursor
from trading.journal.batch import SealedBatch
from trading.journal.codec import BatchBody, decode_body
from trading.journal.history import OrderView, touched_orders, user_sequences, user_steps
from trading.journal.store import Journal
from trading.projector.projector import Projector
from trading.storage.documents import OrderDocument
from trading.storage.order_queries import OrderQueries, page_size
from trading.storage.rows import view_as_of, view_of_document


@dataclass(frozen=True, slots=True)
class LogPage:
    events: Sequence[trading_pb2.UserEvent]
    more: bool


class EventLog:
    def __init__(self, *, journal: Journal, queries: OrderQueries, projector: Projector) -> None:
        self._journal = journal
        self._queries = queries
        self._projector = projector

    async def read(self, user_id: str, *, after: int, limit: int) -> LogPage:
        """The user's events after that sequence number, without gap, up to where the projection has come.

        Raises `JournalUnreachable`.
        """
        folded = self._projector.batch
        newest = user_cursor(self._projector.fold.state, user_id).sequence
        last = min(newest, after + page_size(limit))
        if after >= last:
            return LogPage((), more=False)
        found_batches = await self._journal.of_user(user_id, range(after + 1, last + 1))
        # The journal runs ahead of the rows, and an event told from a row that lacks it would be a wrong one.
        batches = [batch for batch in found_batches if batch.number <= folded]
        bodies = [(batch, decode_body(batch.body)) for batch in batches]
        documents = await self._documents(user_id, bodies)
        found = []
        for batch, body in bodies:
            found += [
                event for event in self._events(user_id, batch, body, documents) if after < event.sequence <= last
            ]
        return LogPage(found, more=last < newest and len(batches) == len(found_batches))

    async def _documents(
        self, user_id: str, bodies: Sequence[tuple[SealedBatch, BatchBody]]
    ) -> dict[str, OrderDocument]:
        # A batch may hold hundreds of others' orders.
        order_ids = {
            order_id: None for _, body in bodies for order_id in touched_orders(_events_of(user_id, body.events))
        }
        return await self._queries.many(list(order_ids)) if order_ids else {}

    def _events(
        self, user_id: str, batch: SealedBatch, body: BatchBody, documents: dict[str, OrderDocument]
    ) -> list[trading_pb2.UserEvent]:
        state = self._projector.fold.state

        def order_after(order_id: str) -> OrderView:
            document = documents[order_id]
            return _as_of(document, state.markets[document.trading_pair].market, batch)

        steps = user_steps(body.events, accounts=body.accounts, order_after=order_after, user_id=user_id)
        return [
            user_event_message(step, state, batch=batch.number, time_milliseconds=batch.time_milliseconds)
            for step in steps
        ]


def _events_of(user_id: str, events: Sequence[Event]) -> list[Event]:
    return [event for event in events if any(user == user_id for user, _ in user_sequences((event,)))]


def _as_of(document: OrderDocument, market: Market, batch: SealedBatch) -> OrderView:
    """The order as it was after that batch."""
    if document.batch == batch.number:
        return view_of_document(document, market)
    return view_as_of(document, market, batch=batch.number, time_milliseconds=batch.time_milliseconds)
