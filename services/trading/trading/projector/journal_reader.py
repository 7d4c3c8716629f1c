"""The journal as other services read it: whole batches, up to where the projection has come."""

from collections.abc import Sequence

from cryptovault.trading.v1 import events_pb2

from trading.api.journal_messages import batch_message, closed_orders
from trading.domain.commands import SetMarket
from trading.domain.events import Event, MarketSet
from trading.journal.batch import SealedBatch
from trading.journal.codec import decode_body, decode_events
from trading.journal.history import OrderView
from trading.journal.store import Journal
from trading.projector.projector import Projector
from trading.storage.order_queries import OrderQueries
from trading.storage.rows import view_of_document

BATCHES_MAX = 200
# Batches have up to 1 MiB; a reply has up to 4. Whoever reads on gets the rest.
REPLY_BODY_BYTES_MAX = 1_000_000
# A fold asks for the batch at its cursor once more, to see that the journal is still the one it knows. Were that one
# alone to fill the reply, the fold would learn of nothing new, for ever.
BATCHES_MIN = 2
ORDERS_PER_READ = 50  # a server may hold every row against every id of the list


class JournalReader:
    def __init__(self, *, journal: Journal, queries: OrderQueries, projector: Projector) -> None:
        self._journal = journal
        self._queries = queries
        self._projector = projector

    async def read(self, after: int, limit: int) -> list[events_pb2.JournalBatch]:
        """Batches after that number, oldest first; at least two where there are two. Raises `JournalUnreachable`."""
        limit = min(limit or BATCHES_MAX, BATCHES_MAX, self._projector.batch - after)
        if limit <= 0:
            return []
        batches = first_ones(await self._journal.read_after(after, limit))
        decoded = [(batch, decode_events(batch.body)) for batch in batches]
        orders = await self._closed_orders(decoded)
        state = self._projector.fold.state
        return [batch_message(batch, events, state, orders, changes_of(batch, events)) for batch, events in decoded]

    async def _closed_orders(self, decoded: Sequence[tuple[SealedBatch, list[Event]]]) -> dict[str, OrderView]:
        recent = self._projector.fold.recently_closed
        order_ids = [order_id for _, events in decoded for order_id in closed_orders(events)]
        orders = {order_id: recent[order_id] for order_id in order_ids if order_id in recent}
        markets = self._projector.fold.state.markets
        older = [order_id for order_id in order_ids if order_id not in orders]
        for first in range(0, len(older), ORDERS_PER_READ):
            documents = await self._queries.many(older[first : first + ORDERS_PER_READ])
            for order_id, document in documents.items():
                orders[order_id] = view_of_document(document, markets[document.trading_pair].market)
        return orders


def changes_of(batch: SealedBatch, events: Sequence[Event]) -> dict[tuple[str, int], str]:
    """What operators asked of markets in that batch, by market and version: it stands in the commands alone."""
    if not any(isinstance(event, MarketSet) for event in events):
        return {}  # as nearly always: the commands need not be decoded
    return {
        (event.market.symbol, event.version): entry.command.change
        for entry in decode_body(batch.body).entries
        if isinstance(entry.command, SetMarket)
        for event in entry.events
        if isinstance(event, MarketSet)
    }


def first_ones(batches: list[SealedBatch]) -> list[SealedBatch]:
    """As many of them as fit a reply, and never less than `BATCHES_MIN` of them."""
    taken: list[SealedBatch] = []
    size = 0
    for batch in batches:
        size += len(batch.body)
        if len(taken) >= BATCHES_MIN and size > REPLY_BODY_BYTES_MAX:
            break
        taken.append(batch)
    return taken
