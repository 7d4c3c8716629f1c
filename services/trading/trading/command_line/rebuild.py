"""`cryptovault exchange rebuild`: a new projection, exchanged for the one in use.

The new collections are filled beside the old ones, which go on answering. Then the projector's cursor is put aside, so
that the projector ends at its next write and cannot start; the last batches are folded, the collections exchanged, and
the cursor put where the new ones stand. Broken off at any point, it is run again.
"""

import asyncio
import contextlib
from collections.abc import Callable

from pymongo import IndexModel

from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.journal.store import Journal
from trading.projector.fold import Fold
from trading.storage.cursors import ORDERS, Cursor, CursorMoved, Cursors
from trading.storage.documents import DOCUMENTS
from trading.storage.projection import Changes, Projection

SUFFIX = "_rebuilt"
# Where the projection in use stood when its cursor was put aside: a rebuild that was broken off then is run again, and
# that may be over another journal.
ASIDE = ORDERS + "_put_aside"
BATCHES_PER_WRITE = 64
# Of whoever writes to what is dropped or exchanged: a tenth of that before each write of 64 rows at most he has looked
# at the cursor, and the write takes another. The local database would wait for him, and let him do nothing.
LAST_WRITE_SECONDS = 1.0


async def rebuild_projection(exchange: OpenExchange, report: Report, *, other_journal: bool) -> None:
    """Raises `BrokenChain`, `UnknownEventType`, `JournalUnreachable`, `UsageError` where there is no journal at all,
    `CursorMoved` where somebody else begins a rebuild; the projection in use is then untouched, as it is where it was
    made of another journal, and where this is broken off before the exchange.
    """
    cursors = Cursors(exchange.mongo.database)
    head = await exchange.head()
    in_use = await _in_use(cursors, await cursors.read(ORDERS))
    if not (other_journal or await _was_made_of(exchange.journal, in_use)):
        # As where the setting of the journal's server names another: its projection would take this one's place.
        report.wrong(
            f"the projection was made of another journal, up to its batch {in_use.batch}; this one ends at {head}"
        )
        return
    new = _NewProjection(exchange)
    await new.begin()
    with report.progress("folding", head) as progress:
        await new.fold_up_to(head, progress.update)
    stood_at = await cursors.read(ORDERS)
    in_use, aside = await _in_use(cursors, stood_at), Cursor.of_a_rebuild()
    try:
        await cursors.put(ASIDE, in_use)
        await cursors.put(ORDERS, aside)
        await asyncio.sleep(LAST_WRITE_SECONDS)
        await Projection(exchange.mongo.database).free_rows()
        # What came meanwhile. Whoever projected ends at its next write: what it wrote of these batches is dropped.
        await new.fold_up_to(await exchange.journal.head(), lambda _: None)
    except BaseException:
        # Nothing is exchanged yet. Where another rebuild has put the cursor aside since, it will put it right.
        with contextlib.suppress(CursorMoved):
            await cursors.move(ORDERS, before=aside, after=stood_at)
        raise
    await new.exchange_for_the_one_in_use()
    await cursors.put(ORDERS, new.cursor)
    await cursors.remove(ORDERS + SUFFIX, new.cursor)
    await cursors.remove(ASIDE, in_use)
    report.fact("batch", new.cursor.batch)
    report.fact("was_at_batch", in_use.batch)
    report.fact("orders", await exchange.mongo.database.get_collection("orders").estimated_document_count())


async def _in_use(cursors: Cursors, stands_at: Cursor) -> Cursor:
    return await cursors.read(ASIDE) if stands_at.is_of_a_rebuild else stands_at


async def _was_made_of(journal: Journal, cursor: Cursor) -> bool:
    if cursor == Cursor():
        return True
    batch = await journal.read(cursor.batch)
    return batch is not None and batch.digest == cursor.digest


class _NewProjection:
    """Filled by this rebuild alone: each step raises `CursorMoved` where another one has begun."""

    def __init__(self, exchange: OpenExchange) -> None:
        self._exchange = exchange
        self._database = exchange.mongo.database
        self._cursors = Cursors(self._database)
        self._projection = Projection(self._database, SUFFIX)
        self._fold = Fold()
        self.cursor = Cursor.of_a_rebuild()

    async def begin(self) -> None:
        """Empty. Of a rebuild that died nothing is open any more, and one at work has seen that it is not the last."""
        if await self._cursors.put(ORDERS + SUFFIX, self.cursor) != Cursor():
            await asyncio.sleep(LAST_WRITE_SECONDS)
        await self._projection.take_over()
        for document in DOCUMENTS:
            await self._require_own()
            collection = self._database.get_collection(document.Settings.name + SUFFIX)
            await collection.drop()
            # Also where nothing will be written: there must be something to rename.
            await self._database.create_collection(collection.name)
            indexes: list[IndexModel] = document.Settings.indexes
            if indexes:
                await collection.create_indexes(indexes)

    async def fold_up_to(self, last: int, progress: Callable[[int], None]) -> None:
        changes, waiting = Changes(), 0
        async for batch in self._exchange.batches(self._fold.cursor.batch, last):
            self._fold.apply(batch, changes)
            progress(1)
            waiting += 1
            if waiting == BATCHES_PER_WRITE:
                await self._write(changes)
                changes, waiting = Changes(), 0
        if waiting:
            await self._write(changes)

    async def exchange_for_the_one_in_use(self) -> None:
        for document in DOCUMENTS:
            # Who begins another rebuild now is about to empty what would be put in use.
            await self._require_own()
            name = document.Settings.name
            await self._database.get_collection(name + SUFFIX).rename(name, dropTarget=True)

    async def _write(self, changes: Changes) -> None:
        try:
            await self._projection.write(changes, before=self.cursor, after=self._fold.cursor)
        except CursorMoved:
            raise _another() from None
        self.cursor = self._fold.cursor

    async def _require_own(self) -> None:
        if await self._projection.cursor() != self.cursor:
            raise _another()


def _another() -> CursorMoved:
    return CursorMoved("another rebuild has begun; it will put the projection right")
