"""`cryptovault exchange rebuild`: a new projection, exchanged for the one in use.

The new collections are filled beside the old ones, which go on answering. Then the projector's cursor is put aside, so
that the projector ends at its next write and cannot start; the last batches are folded, the collections exchanged, and
the cursor put where the new ones stand. Broken off at any point, it is run again.
"""

import asyncio
from collections.abc import Callable

from chassis.mongo import MongoDatabase
from pymongo import IndexModel

from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.journal.store import Journal
from trading.projector.fold import Fold
from trading.storage.cursors import ORDERS, REBUILDING, Cursor, CursorMoved, Cursors
from trading.storage.documents import DOCUMENTS
from trading.storage.projection import Changes, Projection

SUFFIX = "_rebuilt"
# Where the projection in use stood when its cursor was put aside: a rebuild that was broken off then is run again, and
# that may be over another journal.
ASIDE = ORDERS + "_put_aside"
BATCHES_PER_WRITE = 64
# Of whoever projected: he looks at the cursor before each write, and one takes a tenth of that.
LAST_WRITE_SECONDS = 1.0


async def rebuild_projection(exchange: OpenExchange, report: Report, *, other_journal: bool) -> None:
    """Raises `BrokenChain`, `UnknownEventType`, `JournalUnreachable`, `UsageError` where there is no journal at all,
    `CursorMoved` where somebody else begins a rebuild; the projection in use is then untouched, as it is where it was
    made of another journal.
    """
    database = exchange.mongo.database
    cursors = Cursors(database)
    head = await exchange.head()
    in_use = await _in_use(cursors)
    if not (other_journal or await _was_made_of(exchange.journal, in_use)):
        # As where the setting of the journal's server names another: its projection would take this one's place.
        report.wrong(
            f"the projection was made of another journal, up to its batch {in_use.batch}; this one ends at {head}"
        )
        return
    fold, projection = Fold(), await _begin_anew(database, cursors)
    with report.progress("folding", head) as progress:
        await _project(exchange, fold, projection, head, progress.update)
    before = await _in_use(cursors)
    await cursors.put(ASIDE, before)
    await cursors.put(ORDERS, REBUILDING)
    # Nobody may be writing to what is exchanged: the local database would wait for him, and let him do nothing.
    await asyncio.sleep(LAST_WRITE_SECONDS)
    await Projection(database).free_rows()
    # What came meanwhile. Whoever projected ends at its next write: what it wrote of these batches is dropped.
    await _project(exchange, fold, projection, await exchange.journal.head(), lambda _: None)
    for document in DOCUMENTS:
        # Who begins another rebuild now has emptied what would be put in use.
        if await cursors.read(ORDERS + SUFFIX) != fold.cursor:
            raise CursorMoved("another rebuild has begun; it will put the projection right")
        name = document.Settings.name
        await database.get_collection(name + SUFFIX).rename(name, dropTarget=True)
    await cursors.put(ORDERS, fold.cursor)
    await cursors.remove(ORDERS + SUFFIX)
    await cursors.remove(ASIDE)
    report.fact("batch", fold.cursor.batch)
    report.fact("was_at_batch", before.batch)
    report.fact("orders", await database.get_collection("orders").estimated_document_count())


async def _in_use(cursors: Cursors) -> Cursor:
    cursor = await cursors.read(ORDERS)
    return await cursors.read(ASIDE) if cursor == REBUILDING else cursor


async def _was_made_of(journal: Journal, cursor: Cursor) -> bool:
    if cursor == Cursor():
        return True
    batch = await journal.read(cursor.batch)
    return batch is not None and batch.digest == cursor.digest


async def _begin_anew(database: MongoDatabase, cursors: Cursors) -> Projection:
    """Empty. Of a rebuild that died, nothing is open any more."""
    projection = Projection(database, SUFFIX)
    await cursors.remove(ORDERS + SUFFIX)
    await projection.take_over()
    for document in DOCUMENTS:
        collection = database.get_collection(document.Settings.name + SUFFIX)
        await collection.drop()
        # Also where nothing will be written: there must be something to rename.
        await database.create_collection(collection.name)
        indexes: list[IndexModel] = document.Settings.indexes
        if indexes:
            await collection.create_indexes(indexes)
    return projection


async def _project(
    exchange: OpenExchange, fold: Fold, projection: Projection, last: int, progress: Callable[[int], None]
) -> None:
    before, changes, waiting = fold.cursor, Changes(), 0
    async for batch in exchange.batches(fold.cursor.batch, last):
        fold.apply(batch, changes)
        progress(1)
        waiting += 1
        if waiting == BATCHES_PER_WRITE:
            await projection.write(changes, before=before, after=fold.cursor)
            before, changes, waiting = fold.cursor, Changes(), 0
    if waiting:
        await projection.write(changes, before=before, after=fold.cursor)
