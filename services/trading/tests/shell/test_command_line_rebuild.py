"""`cryptovault exchange rebuild`: the projection is made anew of the journal, or left as it was."""

import asyncio
from typing import Any

import pytest
from chassis.mongo import MongoConnection, connect
from chassis.testing import eventually
from click.testing import CliRunner, Result
from pymongo.asynchronous.collection import AsyncCollection
from shell_factory import UNIT, running_shell
from traded_exchange import Traded, contents, put_the_cursor_ahead
from trading.command_line.main import cryptovault
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.rebuild import ASIDE, LAST_WRITE_SECONDS, _NewProjection, rebuild_projection
from trading.command_line.report import Report
from trading.projector.projector import Projector
from trading.storage.cursors import ORDERS, Cursor, CursorMoved, Cursors
from trading.storage.journal import MongoJournal
from trading.storage.projection import LOOK_AGAIN_SECONDS, ROWS_PER_WRITE, Changes, Projection
from trading.storage.snapshots import MongoSnapshots


async def test_a_rebuilt_projection_is_the_one_that_was(traded: Traded, mongo_journal: MongoJournal) -> None:
    before = await contents(traded.database)
    indexes = await traded.database["orders"].index_information()
    await traded.database["orders"].update_one({"_id": traded.filled}, {"$set": {"status": "open"}})
    await traded.database["transfers"].drop()
    beside = Projector(mongo_journal, Projection(traded.database))
    await beside.catch_up()
    ran = await traded.run("rebuild", "--yes", "--json")
    assert (ran.exit_code, ran.facts["batch"]) == (0, traded.head)
    assert await contents(traded.database) == before
    assert (await traded.database["orders"].index_information()).keys() == indexes.keys()
    assert await Projection(traded.database).cursor() == beside.fold.cursor
    left = [name for name in await traded.database.list_collection_names() if name.endswith("_rebuilt")]
    assert left == []


async def test_nobody_projects_while_the_projection_is_exchanged(traded: Traded, mongo_journal: MongoJournal) -> None:
    projection = Projection(traded.database)
    cursor = await projection.cursor()
    await Cursors(traded.database).put(ORDERS, Cursor.of_a_rebuild())
    with pytest.raises(CursorMoved):
        await Cursors(traded.database).move(ORDERS, before=cursor, after=Cursor(cursor.batch + 1, b""))
    with pytest.raises(Exception, match="exchanged for a new one"):
        await Projector(mongo_journal, projection).catch_up()
    broken_off = await traded.run("verify")
    assert "run it again" in broken_off.output
    assert (await traded.run("rebuild", "--yes")).exit_code == 0
    assert await projection.cursor() == cursor


async def test_a_projection_of_another_journal_is_left_alone_unless_a_restore_is_said(
    traded: Traded, mongo_journal: MongoJournal
) -> None:
    before = await contents(traded.database)
    last = await mongo_journal.read(traded.head)
    assert last is not None
    await put_the_cursor_ahead(traded, last)
    refused = await traded.run("rebuild", "--yes")
    assert refused.exit_code == 1
    assert f"another journal, up to its batch {traded.head + 1}; this one ends at {traded.head}" in refused.output
    assert (await traded.run("rebuild", "--yes", "--other-journal")).exit_code == 0
    assert await contents(traded.database) == before


@pytest.mark.parametrize("suffix", ["", "_rebuilt"])
async def test_rows_that_a_dead_process_has_in_an_open_transaction_hold_up_no_rebuild(
    traded: Traded, suffix: str
) -> None:
    """A projector's, or those of a rebuild that was killed. The local database would wait for ever."""
    before = await contents(traded.database)
    dead = Projection(traded.database, suffix)
    await dead.take_over()
    session = dead._transactions._session
    assert session is not None
    if suffix:
        await traded.database["orders_rebuilt"].insert_one({"_id": traded.filled})
    await session.start_transaction()
    mine = await traded.database["orders" + suffix].update_one(
        {"_id": traded.filled}, {"$set": {"status": "mine"}}, session=session
    )
    assert mine.modified_count == 1
    assert (await traded.run("rebuild", "--yes")).exit_code == 0
    assert await contents(traded.database) == before


@pytest.mark.parametrize("begun", [False, True])
async def test_who_projects_touches_no_row_once_the_projection_is_to_be_exchanged(
    traded: Traded, monkeypatch: pytest.MonkeyPatch, *, begun: bool
) -> None:
    projection, cursors = Projection(traded.database), Cursors(traded.database)
    cursor = await projection.cursor()
    row = await traded.database["orders"].find_one({"_id": traded.resting})
    assert row is not None
    new = {name: row | {"_id": name} for name in (f"new {number}" for number in range(ROWS_PER_WRITE + 1))}
    later = row | {"batch": row["batch"] + 1}
    insert = projection._orders.insert_many

    async def insert_and_put_aside(*arguments: Any, **options: Any) -> None:
        await insert(*arguments, **options)
        await cursors.put(ORDERS, Cursor.of_a_rebuild())
        await asyncio.sleep(LOOK_AGAIN_SECONDS)

    if begun:
        monkeypatch.setattr(projection._orders, "insert_many", insert_and_put_aside)
    else:
        await cursors.put(ORDERS, Cursor.of_a_rebuild())
    changes = Changes(new_orders=new, changed_orders={row["_id"]: later})
    with pytest.raises(CursorMoved, match=f"the cursor orders from batch {traded.head}"):
        await projection.write(changes, before=cursor, after=Cursor(traded.head + 1, b""))
    assert await traded.database["orders"].find_one({"_id": traded.resting}) == row
    assert await traded.database["orders"].count_documents({"_id": {"$in": list(new)}}) == ROWS_PER_WRITE * begun


@pytest.mark.parametrize("put_aside_before", [False, True])
async def test_until_the_exchange_a_rebuild_that_is_broken_off_leaves_all_as_it_was(
    traded: Traded, mongo: MongoConnection, mongo_journal: MongoJournal, *, put_aside_before: bool
) -> None:
    cursors = Cursors(traded.database)
    if put_aside_before:
        await cursors.put(ASIDE, await cursors.read(ORDERS))
        await cursors.put(ORDERS, Cursor.of_a_rebuild())
    stood_at, before = await cursors.read(ORDERS), await contents(traded.database)

    async def is_put_aside() -> bool:
        cursor = await cursors.read(ORDERS)
        return cursor.is_of_a_rebuild and cursor != stood_at

    exchange = OpenExchange(mongo, mongo_journal, MongoSnapshots(traded.database))
    rebuilding = asyncio.create_task(rebuild_projection(exchange, Report(as_json=True), other_journal=False))
    await eventually(is_put_aside)
    rebuilding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rebuilding
    assert await cursors.read(ORDERS) == stood_at
    assert await contents(traded.database) == before


class _Killed(Exception):
    """Who is killed writes nothing any more, in no `except` either."""


async def test_a_rebuild_that_was_killed_is_not_run_again_over_another_journal(
    traded: Traded,
    monkeypatch: pytest.MonkeyPatch,
    mongo: MongoConnection,
    mongo_journal: MongoJournal,
    mongo_url: str,
) -> None:
    before, cursor = await contents(traded.database), await Cursors(traded.database).read(ORDERS)
    put, move = Cursors.put, Cursors.move

    async def put_and_die(self: Cursors, name: str, cursor: Cursor) -> Cursor:
        stood_at = await put(self, name, cursor)
        if name == ORDERS:
            raise _Killed
        return stood_at

    async def move_unless_dead(self: Cursors, name: str, *, before: Cursor, after: Cursor) -> None:
        if name == ORDERS:
            raise _Killed
        await move(self, name, before=before, after=after)

    snapshots = MongoSnapshots(traded.database)
    exchange = OpenExchange(mongo, mongo_journal, snapshots)
    with monkeypatch.context() as patched:
        patched.setattr(Cursors, "put", put_and_die)
        patched.setattr(Cursors, "move", move_unless_dead)
        # Twice: the second finds what the first has put aside.
        for _ in range(2):
            with pytest.raises(_Killed):
                await rebuild_projection(exchange, Report(as_json=True), other_journal=False)
    assert (await Cursors(traded.database).read(ORDERS)).is_of_a_rebuild
    connection = connect(mongo_url, f"{traded.database.name}_other")
    other = MongoJournal(connection)
    async with running_shell(other, writer="writer-b") as shell:
        for _ in range(traded.head):
            await shell.deposit("ann", "USD", UNIT)
    report = Report(as_json=True)
    await rebuild_projection(OpenExchange(mongo, other, snapshots), report, other_journal=False)
    assert [f"another journal, up to its batch {traded.head}" in problem for problem in report.problems] == [True]
    assert await contents(traded.database) == before
    await other.close()
    await connection.client.admin.command("killAllSessions", [])  # one that is in a transaction would keep the drop
    await connection.client.drop_database(connection.database.name)
    await connection.close()
    ran = await traded.run("rebuild", "--yes", "--json")
    assert (ran.exit_code, ran.facts["was_at_batch"]) == (0, traded.head)
    assert await contents(traded.database) == before
    assert await Cursors(traded.database).read(ORDERS) == cursor
    assert await Cursors(traded.database).read(ASIDE) == Cursor()


@pytest.mark.parametrize("broken_off", [False, True])
async def test_without_a_journal_no_projection_is_made_of_nothing(traded: Traded, *, broken_off: bool) -> None:
    """As where the journal's server is not named, and the service's own database answers for it."""
    if broken_off:
        await Cursors(traded.database).put(ORDERS, Cursor.of_a_rebuild())
    await traded.database["journal"].rename("elsewhere")
    before = await contents(traded.database)
    refused = await traded.run("rebuild", "--yes", "--other-journal")
    assert refused.exit_code == 2
    assert "has no journal" in refused.complaint
    assert await contents(traded.database) == before


async def _rebuild_here(traded: Traded, monkeypatch: pytest.MonkeyPatch) -> Result:
    """In this process, so that what is patched is patched for it too."""
    for name, value in traded.environment.items():
        monkeypatch.setenv(name, value)
    return await asyncio.to_thread(CliRunner().invoke, cryptovault, ["exchange", "rebuild", "--yes"])


async def test_of_two_rebuilds_at_a_time_the_first_ends_with_a_sentence(
    traded: Traded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins while it folds: what each has filled so far is dropped."""
    move = Cursors.move

    async def after_the_other_began(self: Cursors, name: str, *, before: Cursor, after: Cursor) -> None:
        await self.put(name, Cursor.of_a_rebuild())
        await move(self, name, before=before, after=after)

    monkeypatch.setattr(Cursors, "move", after_the_other_began)
    before = await contents(traded.database)
    ran = await _rebuild_here(traded, monkeypatch)
    assert "WRONG  another rebuild has begun" in ran.output
    assert ran.exit_code == 1
    assert await contents(traded.database) == before


async def test_a_rebuild_that_begins_while_another_puts_its_own_in_use_ends_that_one(
    traded: Traded, monkeypatch: pytest.MonkeyPatch, mongo_journal: MongoJournal
) -> None:
    before = await contents(traded.database)
    rename = AsyncCollection.rename

    async def after_the_other_began(self: AsyncCollection[Any], *arguments: Any, **options: Any) -> Any:
        await rename(self, *arguments, **options)
        await Cursors(self.database).put("orders_rebuilt", Cursor.of_a_rebuild())

    with monkeypatch.context() as patched:
        patched.setattr(AsyncCollection, "rename", after_the_other_began)
        ran = await _rebuild_here(traded, patched)
    assert "WRONG  another rebuild has begun" in ran.output
    assert (await Cursors(traded.database).read(ORDERS)).is_of_a_rebuild
    assert (await traded.run("rebuild", "--yes")).exit_code == 0
    assert await contents(traded.database) == before


def _slow(projection: Projection, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What its writes of new orders do, in time; each takes a part of what whoever waits for it waits."""
    done: list[str] = []
    insert = projection._orders.insert_many

    async def insert_slowly(*arguments: Any, **options: Any) -> None:
        done.append("begun")
        await asyncio.sleep(LAST_WRITE_SECONDS / 3)
        await insert(*arguments, **options)
        done.append("written")

    monkeypatch.setattr(projection._orders, "insert_many", insert_slowly)
    return done


async def test_who_begins_another_rebuild_drops_nothing_under_the_firsts_last_write(
    traded: Traded, monkeypatch: pytest.MonkeyPatch, mongo: MongoConnection, mongo_journal: MongoJournal
) -> None:
    """Though it be its very first one."""
    exchange = OpenExchange(mongo, mongo_journal, MongoSnapshots(traded.database))
    first, second = _NewProjection(exchange), _NewProjection(exchange)
    await first.begin()
    done, drop = _slow(first._projection, monkeypatch), AsyncCollection.drop

    async def drop_and_tell(self: AsyncCollection[Any]) -> None:
        done.append("dropped")
        await drop(self)

    monkeypatch.setattr(AsyncCollection, "drop", drop_and_tell)
    folding = asyncio.create_task(first.fold_up_to(traded.head, lambda _: None))
    await eventually(lambda: "begun" in done)
    await second.begin()
    with pytest.raises(CursorMoved, match="another rebuild has begun"):
        await folding
    assert done[:3] == ["begun", "written", "dropped"]
    assert await traded.database["orders_rebuilt"].count_documents({}) == 0
    await second.fold_up_to(traded.head, lambda _: None)
    orders = await traded.database["orders"].count_documents({})
    assert await traded.database["orders_rebuilt"].count_documents({}) == orders


async def test_nothing_is_exchanged_under_the_last_write_of_who_projected(
    traded: Traded, monkeypatch: pytest.MonkeyPatch, mongo: MongoConnection, mongo_journal: MongoJournal
) -> None:
    before, cursor = await contents(traded.database), await Cursors(traded.database).read(ORDERS)
    row = await traded.database["orders"].find_one({"_id": traded.resting})
    assert row is not None
    projection = Projection(traded.database)
    done, put, rename = _slow(projection, monkeypatch), Cursors.put, AsyncCollection.rename
    changes = Changes(new_orders={"new": row | {"_id": "new"}}, used_keys=[{"_id": "new"}])
    writing: list[asyncio.Task[None]] = []

    async def put_under_a_write(self: Cursors, name: str, to: Cursor) -> Cursor:
        if name == ORDERS and to.is_of_a_rebuild:
            after = Cursor(traded.head + 1, b"")
            writing.append(asyncio.create_task(projection.write(changes, before=cursor, after=after)))
            await eventually(lambda: "begun" in done)
        return await put(self, name, to)

    async def rename_and_tell(self: AsyncCollection[Any], *arguments: Any, **options: Any) -> Any:
        done.append("exchanged")
        return await rename(self, *arguments, **options)

    monkeypatch.setattr(Cursors, "put", put_under_a_write)
    monkeypatch.setattr(AsyncCollection, "rename", rename_and_tell)
    exchange = OpenExchange(mongo, mongo_journal, MongoSnapshots(traded.database))
    await rebuild_projection(exchange, Report(as_json=True), other_journal=False)
    assert done[:3] == ["begun", "written", "exchanged"]
    with pytest.raises(CursorMoved):
        await writing[0]
    assert await contents(traded.database) == before
