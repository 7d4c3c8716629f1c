"""The journal as other services read it: whole batches, up to where the projection has come.

Every follower reads every batch, and as a rule at nearly the same moment: what was put into words for the first of them
is kept for the others. A batch never changes, so nothing that is kept can be out of date.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import NamedTuple, TypeVar

from cryptovault.trading.v1 import events_pb2

from trading.api.journal_messages import batch_message, closed_orders
from trading.domain.commands import AddMarket, SetMarket
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
# What is kept for the others: some 10,000 orders, whose messages take a few times as much; and only so many batches,
# since those of a quiet hour are small and their messages are not.
KEPT_BODY_BYTES_MAX = 8_000_000
KEPT_BATCHES_MAX = 2_000
TURN_SECONDS = 0.005  # of telling, before others have theirs


T = TypeVar("T")


class _Told(NamedTuple):
    """A batch in the words of `events.proto`, and the size of what it was told from."""

    message: events_pb2.JournalBatch
    body_bytes: int


class JournalReader:
    def __init__(self, *, journal: Journal, queries: OrderQueries, projector: Projector) -> None:
        self._journal = journal
        self._queries = queries
        self._projector = projector
        self._kept: dict[int, _Told] = {}  # by number; who was told first goes first
        self._kept_bytes = 0
        self._reading = asyncio.Lock()  # who comes second finds what the first is about to keep

    async def read(self, after: int, limit: int) -> list[events_pb2.JournalBatch]:
        """Batches after that number, oldest first; at least two where there are two. Raises `JournalUnreachable`."""
        limit = min(limit or BATCHES_MAX, BATCHES_MAX, self._projector.batch - after)
        if limit <= 0:
            return []
        kept = self._kept_after(after, limit)
        if len(kept) == limit:
            return [told.message for told in kept[: how_many_fit([told.body_bytes for told in kept])]]
        async with self._reading:
            kept = self._kept_after(after, limit)
            missing = limit - len(kept)
            batches = await self._journal.read_after(after + len(kept), missing) if missing else []
            count = how_many_fit([told.body_bytes for told in kept] + [len(batch.body) for batch in batches])
            fresh = await self._tell(batches[: max(0, count - len(kept))])
        return [told.message for told in (*kept[:count], *fresh)]

    def _kept_after(self, after: int, limit: int) -> list[_Told]:
        """Without a gap."""
        found: list[_Told] = []
        while len(found) < limit and (told := self._kept.get(after + 1 + len(found))) is not None:
            found.append(told)
        return found

    async def _tell(self, batches: Sequence[SealedBatch]) -> list[_Told]:
        """A few at a time, with everybody else's questions in between: all together take a tenth of a second."""
        decoded = [(batch, decode_events(batch.body)) async for batch in _in_turns(batches)]
        orders = await self._closed_orders(decoded)
        state = self._projector.fold.state
        found = []
        async for batch, events in _in_turns(decoded):
            message = batch_message(batch, events, state, orders, changes_of(batch, events))
            found.append(_Told(message, len(batch.body)))
            self._keep(batch.number, found[-1])
        return found

    def _keep(self, number: int, told: _Told) -> None:
        known = self._kept.pop(number, None)  # as where one before it was not kept any more
        self._kept[number] = told
        self._kept_bytes += told.body_bytes - (known.body_bytes if known is not None else 0)
        while self._kept_bytes > KEPT_BODY_BYTES_MAX or len(self._kept) > KEPT_BATCHES_MAX:
            self._kept_bytes -= self._kept.pop(next(iter(self._kept))).body_bytes

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


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for item in items:
        yield item
        if loop.time() - begun >= TURN_SECONDS:
            await asyncio.sleep(0)
            begun = loop.time()


def changes_of(batch: SealedBatch, events: Sequence[Event]) -> dict[tuple[str, int], str]:
    """What operators asked of markets in that batch, by market and version: it stands in the commands alone."""
    if not any(isinstance(event, MarketSet) for event in events):
        return {}  # as nearly always: the commands need not be decoded
    return {
        (event.market.symbol, event.version): entry.command.change
        for entry in decode_body(batch.body).entries
        if isinstance(entry.command, SetMarket | AddMarket)
        for event in entry.events
        if isinstance(event, MarketSet)
    }


def how_many_fit(body_bytes: Sequence[int]) -> int:
    """How many batches of these sizes, from the first on, fit a reply; never less than `BATCHES_MIN` of them."""
    size = 0
    for count, more in enumerate(body_bytes):
        size += more
        if count >= BATCHES_MIN and size > REPLY_BODY_BYTES_MAX:
            return count
    return len(body_bytes)
