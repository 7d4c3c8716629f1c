import asyncio
from decimal import Decimal
from typing import Any

import pytest
from chassis.mongo import MongoDatabase
from pymongo.errors import AutoReconnect
from shell_factory import PRICE, UNIT, Shell, actor, buy_for, cancel, cancel_all, limit, running_shell
from trading.domain.commands import AmendOrder
from trading.domain.orders import Side
from trading.domain.snapshot import state_hash
from trading.journal.batch import BrokenChain
from trading.projector.fold import Fold
from trading.projector.projector import Projector
from trading.storage.cursors import ORDERS, Cursor, CursorMoved, Cursors
from trading.storage.documents import OrderDocument, TapeDocument, TransferDocument, UsedKeyDocument
from trading.storage.history import MongoHistory
from trading.storage.journal import MongoJournal
from trading.storage.projection import Changes, Projection

COST = 100_10 * UNIT // 100
FIELDS_OF_THE_PRODUCT_DOCUMENT = {
    "_id", "id", "user_id", "trading_pair", "order_type", "side", "amount", "price", "status", "created_at",
    "filled_at",
}  # fmt: skip


async def busy_hour(shell: Shell) -> None:
    await shell.deposit("ann", "USD", 100_000 * UNIT)
    await shell.deposit("bob", "USD", 100_000 * UNIT)
    for step in range(8):
        shell.clock.advance(1)
        shell.tick(PRICE - step * 100 * UNIT)
        resting = await shell.send(limit("bob", Side.BUY, UNIT // 100, PRICE - (step + 2) * 100 * UNIT))
        await shell.send(buy_for("ann", COST, key=f"{step}"))
        await shell.send(limit("ann", Side.SELL, UNIT // 1000, PRICE - (step + 2) * 100 * UNIT))
        if step % 2 and resting.order is not None and resting.order.order_id in shell.state.orders:
            await shell.send(cancel("bob", resting.order.order_id, key=f"c{step}"))
    await shell.send(cancel_all("bob", key="all"))


async def caught_up(projector: Projector, batch: int) -> None:
    """Runs the projector until it holds that batch."""
    running = asyncio.create_task(projector.run())
    try:
        assert await projector.stored(batch, 10)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def rows(database: MongoDatabase) -> dict[str, Any]:
    found = {}
    for document in (OrderDocument, TransferDocument, UsedKeyDocument, TapeDocument):
        name = document.Settings.name
        found[name] = await database[name].find().sort("_id", 1).to_list()
    return found


async def test_rows_say_what_the_exchange_said(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> None:
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    async with running_shell(mongo_journal) as shell:
        await busy_hour(shell)
        reply = await shell.send(buy_for("ann", COST, key="last", client_order_id="mine"))
        await caught_up(projector, reply.batch)
        assert state_hash(projector.fold.state) == state_hash(shell.state)
    assert reply.order is not None
    order = await OrderDocument.get(reply.order.order_id)
    assert order is not None
    assert (order.status, order.trading_pair, order.client_order_id) == ("filled", "BTC-USD", "mine")
    assert order.filled_at == order.created_at
    assert order.filled_quote_amount == sum(fill.price * fill.amount for fill in order.fills)
    assert order.fees == sum(fill.fee for fill in order.fills)
    moved = sum(posting.amount for fill in order.fills for posting in fill.postings if posting.asset == "USD")
    assert moved == -(order.filled_quote_amount + order.fees)
    assert order.quote_amount == Decimal("100.1")
    stored = await mongo_database["orders"].find_one({"id": reply.order.order_id})
    assert stored is not None
    assert stored.keys() >= FIELDS_OF_THE_PRODUCT_DOCUMENT
    indexes = await mongo_database["orders"].index_information()
    assert [("user_id", 1), ("created_at", -1)] in [index["key"] for index in indexes.values()]
    assert await OrderDocument.count() == shell.state.order_number
    assert await TransferDocument.count() == 2
    tape = await TapeDocument.find_all().sort("_id").to_list()
    assert [trade.sequence for page in tape for trade in page.trades] == list(range(1, shell.state.trade_number + 1))
    assert tape[-1].trades[-1].id == order.fills[-1].id


async def test_an_order_is_not_told_from_a_row_that_is_behind(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    """As a repeated amendment asks, right after a restart."""
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    async with running_shell(mongo_journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))
        await caught_up(projector, placed.batch)
        assert placed.order is not None
        amended = await shell.send(AmendOrder(actor("ann"), placed.order.order_id, price=PRICE - 200 * UNIT))
        history = MongoHistory(mongo_database, state=lambda: shell.state, now=shell.clock.now)

        async def price_then() -> int | None:
            view = await history.order_as_of(placed.order.order_id, batch=amended.batch, time_milliseconds=shell.now)
            return view.price if view is not None else None

        assert await price_then() is None
        await projector.catch_up()
        await caught_up(projector, amended.batch)
        assert await price_then() == PRICE - 200 * UNIT


async def test_a_rebuild_gives_equal_rows(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> None:
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    async with running_shell(mongo_journal) as shell:
        running = asyncio.create_task(projector.run())  # many small drains, with rows that change between them
        await busy_hour(shell)
        head = shell.state.batch_number
        assert await projector.stored(head, 10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    first = await rows(mongo_database)
    for name in (*first, "cursors"):
        await mongo_database[name].delete_many({})
    again = Projector(mongo_journal, Projection(mongo_database))
    await again.catch_up()
    await caught_up(again, head)
    assert await rows(mongo_database) == first
    assert len(first["orders"]) == shell.state.order_number


@pytest.mark.parametrize("first_drain", [3, 9, 1_000])
async def test_a_crash_between_rows_and_cursor_changes_nothing(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase, first_drain: int
) -> None:
    async with running_shell(mongo_journal) as shell:
        await busy_hour(shell)
        head = shell.state.batch_number
    plain = Projector(mongo_journal, Projection(mongo_database))
    await plain.catch_up()
    await caught_up(plain, head)
    expected = await rows(mongo_database)
    for name in (*expected, "cursors"):
        await mongo_database[name].delete_many({})

    class Killed(Exception):
        pass

    class DyingCursors(Cursors):
        async def move(self, name: str, *, before: Cursor, after: Cursor) -> None:
            raise Killed

    projection = Projection(mongo_database)
    projection._cursors = DyingCursors(mongo_database)
    fold, changes = Fold(), Changes()
    for batch in (await mongo_journal.read_after(0, first_drain))[:first_drain]:
        fold.apply(batch, changes)
    with pytest.raises(Killed):
        await projection.write(changes, before=Cursor(), after=fold.cursor)
    # The next one drains in other steps, so rows of the first are older, equal or newer than its own.
    survivor = Projector(mongo_journal, Projection(mongo_database))
    await survivor.catch_up()
    await caught_up(survivor, head)
    assert await rows(mongo_database) == expected


async def test_rows_in_a_dead_projectors_open_transaction_are_free_for_the_next_one(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_shell(mongo_journal) as shell:
        await shell.deposit("ann", "USD", 100_000 * UNIT)
        resting = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        assert resting.order is not None
        order_id = resting.order.order_id
        dead = Projection(mongo_database)
        projector = Projector(mongo_journal, dead)
        await projector.catch_up()
        await caught_up(projector, resting.batch)
        session = dead._transactions._session
        assert session is not None
        await session.start_transaction()
        await mongo_database["orders"].update_one({"_id": order_id}, {"$set": {"price": None}}, session=session)
        cancelled = await shell.send(cancel("ann", order_id))
    survivor = Projector(mongo_journal, Projection(mongo_database))
    await survivor.catch_up()
    # Sooner than the server gives up a transaction of which nobody has heard for a while.
    await caught_up(survivor, cancelled.batch)
    row = await mongo_database["orders"].find_one({"_id": order_id})
    assert row is not None
    assert (row["status"], row["batch"]) == ("cancelled", cancelled.batch)
    assert row["price"] is not None


class DeadError(Exception):
    pass


class Mortal:
    """A collection whose writer dies before a write: after so many of all that share `lives`."""

    WRITES = ("insert_many", "bulk_write", "update_one")

    def __init__(self, collection: Any, lives: list[int]) -> None:
        self._collection = collection
        self._lives = lives

    def __getattr__(self, name: str) -> Any:
        if name in self.WRITES:
            if self._lives[0] == 0:
                raise DeadError
            self._lives[0] -= 1
        return getattr(self._collection, name)


def mortal_projection(database: MongoDatabase, lives: list[int]) -> Projection:
    projection = Projection(database)
    for name in ("_orders", "_transfers", "_used_keys", "_tape", "_balance_points"):
        setattr(projection, name, Mortal(getattr(projection, name), lives))
    projection._cursors._collection = Mortal(projection._cursors._collection, lives)  # type: ignore[assignment]
    return projection


async def test_a_projector_that_dies_before_any_of_its_writes_leaves_nothing_out(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_shell(mongo_journal) as shell:
        await busy_hour(shell)
        head = shell.state.batch_number
    plain = Projector(mongo_journal, Projection(mongo_database))
    await plain.catch_up()
    await caught_up(plain, head)
    expected = await rows(mongo_database)
    fold, changes = Fold(), Changes()
    for batch in await mongo_journal.read_after(0, 20):
        fold.apply(batch, changes)
    deaths = 0
    while True:
        for name in (*expected, "cursors"):
            await mongo_database[name].delete_many({})
        try:
            await mortal_projection(mongo_database, [deaths]).write(changes, before=Cursor(), after=fold.cursor)
        except DeadError:
            deaths += 1
        else:
            break
        survivor = Projector(mongo_journal, Projection(mongo_database))
        await survivor.catch_up()
        await caught_up(survivor, head)
        assert await rows(mongo_database) == expected
    assert deaths >= 6  # orders, transfers, keys, tape, and the cursor in two steps


async def test_a_deposed_projector_stops_and_overwrites_nothing(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_shell(mongo_journal) as shell:
        await busy_hour(shell)
        head = shell.state.batch_number
    slow_fold, slow_changes = Fold(), Changes()
    for batch in await mongo_journal.read_after(0, 30):
        slow_fold.apply(batch, slow_changes)
    quick = Projector(mongo_journal, Projection(mongo_database))
    await quick.catch_up()
    await caught_up(quick, head)
    expected = await rows(mongo_database)
    with pytest.raises(CursorMoved):
        await Projection(mongo_database).write(slow_changes, before=Cursor(), after=slow_fold.cursor)
    assert await rows(mongo_database) == expected


class UnheardProjection(Projection):
    """Does what it is asked, but so many `answers_lost` are not heard."""

    answers_lost = 0

    async def write(self, changes: Changes, *, before: Cursor, after: Cursor) -> None:
        await super().write(changes, before=before, after=after)
        self._lose()

    async def cursor(self) -> Cursor:
        self._lose()
        return await super().cursor()

    def _lose(self) -> None:
        if self.answers_lost:
            self.answers_lost -= 1
            raise AutoReconnect("connection closed")


async def test_a_cursor_moves_on_only_from_the_very_batch_that_was_folded(mongo_database: MongoDatabase) -> None:
    """Another journal's batch may have the same number, as after a restore."""
    cursors = Cursors(mongo_database)
    there, after = Cursor(5, b"ours"), Cursor(6, b"next")
    await cursors.put(ORDERS, there)
    for elsewhere in (Cursor(5, b"another's"), Cursor(4, b"ours")):
        with pytest.raises(CursorMoved):
            await cursors.move(ORDERS, before=elsewhere, after=after)
    assert await cursors.read(ORDERS) == there
    await cursors.move(ORDERS, before=there, after=after)
    assert await cursors.read(ORDERS) == after


async def test_a_write_that_was_not_answered_is_not_taken_for_anothers(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    projection = UnheardProjection(mongo_database)
    projector = Projector(mongo_journal, projection)
    await projector.catch_up()
    async with running_shell(mongo_journal) as shell:
        await busy_hour(shell)
        # The database dies with the write's answer, and is away for the question that follows.
        projection.answers_lost = 3
        await caught_up(projector, shell.state.batch_number)
    assert projection.answers_lost == 0
    assert await OrderDocument.count() == shell.state.order_number


async def test_a_cursor_above_the_head_stops_and_alarms(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_shell(mongo_journal) as shell:
        await busy_hour(shell)
        head = shell.state.batch_number
    cursors = Cursors(mongo_database)
    await cursors.move(ORDERS, before=Cursor(), after=Cursor(head + 5, b"x" * 32))
    with pytest.raises(BrokenChain):
        await Projector(mongo_journal, Projection(mongo_database)).catch_up()
    await cursors.move(ORDERS, before=Cursor(head + 5, b"x" * 32), after=Cursor(head, b"x" * 32))
    with pytest.raises(BrokenChain):
        await Projector(mongo_journal, Projection(mongo_database)).catch_up()
