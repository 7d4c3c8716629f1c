"""Queries see what was folded before it is written, and the same as afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from pymongo.errors import AutoReconnect
from shell_factory import MARKET, PRICE, UNIT, MemoryJournal, Shell, actor, buy_for, cancel, limit, running_shell
from trading.domain.commands import AmendOrder
from trading.domain.orders import Side
from trading.projector import row_writer
from trading.projector.projector import Projector
from trading.projector.snapshot_taker import SnapshotTaker
from trading.storage import unwritten
from trading.storage.documents import OrderDocument
from trading.storage.journal import MongoJournal
from trading.storage.order_queries import OrderQueries
from trading.storage.projection import Projection
from trading.storage.snapshots import MongoSnapshots
from trading.storage.tape import Tape
from trading.storage.unwritten import Unwritten

COST = 100_10 * UNIT // 100
USERS = ("ann", "bob", "eve")


@asynccontextmanager
async def writing(projector: Projector) -> AsyncIterator[None]:
    running = asyncio.create_task(projector.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def trade(shell: Shell, name: str, rounds: int) -> None:
    """Orders that fill at once, rest, fill later, are amended and cancelled."""
    for user in USERS:
        await shell.deposit(user, "USD", 100_000 * UNIT)
        await shell.deposit(user, "BTC", 10 * UNIT)
    for step in range(rounds):
        shell.clock.advance(1)
        shell.tick()
        await shell.send(buy_for("ann", COST, key=f"{name}{step}", client_order_id=f"{name}-{step}"))
        best = PRICE - (5 + step) * UNIT
        resting = await shell.send(limit("bob", Side.BUY, UNIT // 100, best))
        await shell.send(limit("eve", Side.SELL, UNIT // 400, best))
        assert resting.order is not None
        if step % 3 == 1:
            await shell.send(cancel("bob", resting.order.order_id))
        elif step % 3 == 2:
            await shell.send(AmendOrder(actor("bob"), resting.order.order_id, quantity=UNIT // 200))


async def everything_asked(queries: OrderQueries, tape: Tape, *, newest: int) -> list[Any]:
    """Every question that there is, in pages that end in the midst of things."""
    found: list[Any] = []
    for user in USERS:
        for status in ("", "open", "filled", "partially_filled", "cancelled"):
            found += [await pages(queries, user, status=status, market=market) for market in ("", MARKET, "ETH-USD")]
        found += [await queries.get(user, order.id) for order in await pages(queries, "bob")]
        found += [await queries.by_client_id(user, f"{name}-{number}") for name in "xy" for number in range(4)]
    before, more = 0, True
    while more:
        page = await tape.page(MARKET, before=before, after=3, limit=5, newest=newest)
        found.append(page)
        before, more = (page.trades[-1].sequence, page.more) if page.trades else (0, False)
    return found


async def pages(queries: OrderQueries, user: str, *, status: str = "", market: str = "") -> list[OrderDocument]:
    found: list[OrderDocument] = []
    cursor, more = "", True
    while more:
        page = await queries.page(user, market=market, status=status, limit=3, cursor=cursor)
        assert len(page.orders) <= 3
        found += page.orders
        cursor, more = page.next_cursor, bool(page.next_cursor)
    return found


@pytest.mark.parametrize(("stored_rounds", "portion_rows"), [(0, 512), (5, 512), (5, 16)])
async def test_what_is_not_written_yet_is_answered_as_after_it_was(
    mongo_journal: MongoJournal,
    mongo_database: MongoDatabase,
    monkeypatch: pytest.MonkeyPatch,
    stored_rounds: int,
    portion_rows: int,
) -> None:
    monkeypatch.setattr(unwritten, "PORTION_ROWS", portion_rows)
    snapshots, deep = MongoSnapshots(mongo_database), []
    async with running_shell(mongo_journal) as shell:
        first = Projector(mongo_journal, Projection(mongo_database), snapshots)
        await first.catch_up()
        async with writing(first):
            if stored_rounds:
                await trade(shell, "x", stored_rounds)
                deep = [await shell.send(limit("bob", Side.BUY, UNIT // 100, PRICE - 1000 * UNIT)) for _ in range(8)]
                assert await first.stored(shell.state.batch_number, 10)
                # What follows begins there, and has to ask the rows for what was before.
                await SnapshotTaker(first, snapshots, SystemClock()).take()
        await trade(shell, "y", 6)
        # More than a page of them, newer than what is still open.
        for placed in deep[3:]:
            await shell.send(cancel("bob", placed.order.order_id))
        head = shell.state.batch_number
    projector = Projector(mongo_journal, Projection(mongo_database), snapshots)
    await projector.catch_up()
    # Whoever was told of the newest batch by an earlier projector, which did not write it, is told of it again.
    assert projector.batch == head
    assert projector.stored_batch == first.stored_batch < head
    queries, tape = OrderQueries(projector.unwritten, projector.owner), Tape(mongo_database, projector.unwritten)
    newest = projector.fold.state.markets[MARKET].tape_sequence
    unwritten_answers = await everything_asked(queries, tape, newest=newest)
    async with writing(projector):
        assert await projector.stored(head, 10)
    assert projector.unwritten.row_count == 0
    queries, tape = OrderQueries(Unwritten(), projector.owner), Tape(mongo_database, Unwritten())
    stored_answers = await everything_asked(queries, tape, newest=newest)
    assert unwritten_answers == stored_answers
    assert len(await pages(queries, "bob")) == stored_rounds + len(deep) + 6


class OutOfReach(Projection):
    """A database that stands still until it is back."""

    def __init__(self, database: MongoDatabase) -> None:
        super().__init__(database)
        self.back = asyncio.Event()

    async def write(self, *arguments: Any, **more: Any) -> None:
        if not self.back.is_set():
            raise AutoReconnect
        await super().write(*arguments, **more)


async def test_nobody_waits_for_the_database_until_memory_is_full(
    mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten, "ROWS_MAX", 20)
    journal, projection = MemoryJournal(), OutOfReach(mongo_database)
    projector = Projector(journal, projection)  # type: ignore[arg-type]
    await projector.catch_up()
    async with running_shell(journal) as shell, writing(projector):
        seen = 0
        while seen < 50 and await projector.reached(shell.state.batch_number, 0.5):
            seen += 1
            await shell.deposit("ann", "USD", UNIT)
        assert seen > 0
        assert 20 <= projector.unwritten.row_count <= 22
        assert projector.stored_batch == 0
        projection.back.set()
        assert await projector.reached(shell.state.batch_number, 10)
        assert await projector.stored(shell.state.batch_number, 10)


class OneByOne(Projection):
    """A database that makes as many writes as it is told to."""

    def __init__(self, database: MongoDatabase) -> None:
        super().__init__(database)
        self.allowed = asyncio.Semaphore(0)
        self.begun = asyncio.Event()

    async def write(self, *arguments: Any, **more: Any) -> None:
        self.begun.set()
        await self.allowed.acquire()
        await super().write(*arguments, **more)


async def test_room_comes_back_with_each_portion_that_is_written(
    mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten, "ROWS_MAX", 40)
    monkeypatch.setattr(unwritten, "PORTION_ROWS", 8)
    journal, projection = MemoryJournal(), OneByOne(mongo_database)
    projector = Projector(journal, projection)  # type: ignore[arg-type]
    await projector.catch_up()
    async with running_shell(journal) as shell, writing(projector):
        while await projector.reached(shell.state.batch_number, 0.5):
            await shell.deposit("ann", "USD", UNIT)
        full = projector.batch
        # The first was begun before there were many.
        for _ in range(2):
            stored = projector.stored_batch
            projection.allowed.release()
            await eventually(lambda before=stored: projector.stored_batch > before)
        assert projector.stored_batch <= full // 2
        assert await projector.reached(full + 1, 10)
        # Nothing is folded any more: what is left is written all the same.
        for _ in range(100):
            projection.allowed.release()
        assert await projector.stored(shell.state.batch_number, 10)
        assert projector.unwritten.row_count == 0


async def test_what_was_folded_during_a_write_waits_for_more_before_it_is_written(
    mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_writer, "PAUSE_SECONDS", 60)
    journal, projection = MemoryJournal(), OneByOne(mongo_database)
    projector = Projector(journal, projection)  # type: ignore[arg-type]
    await projector.catch_up()
    async with running_shell(journal) as shell, writing(projector):
        await shell.deposit("ann", "USD", UNIT)
        first = shell.state.batch_number
        assert await projector.reached(first, 10)
        async with asyncio.TaskGroup() as group:
            stored = group.create_task(projector.stored(first, 10))
            await projection.begun.wait()
            await shell.deposit("ann", "USD", UNIT)
            assert await projector.reached(shell.state.batch_number, 10)
            assert projector.unwritten.row_count == 2  # with the one that is being written
            for _ in range(100):
                projection.allowed.release()
        assert stored.result()
        await asyncio.sleep(0.2)
        assert projector.stored_batch < shell.state.batch_number
        # Who wants it hurries it.
        assert await projector.stored(shell.state.batch_number, 10)
