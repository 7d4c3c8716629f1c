"""`cryptovault exchange rebuild`: the projection is made anew of the journal, or left as it was."""

import asyncio
from typing import Any

import pytest
from chassis.mongo import MongoConnection, connect
from click.testing import CliRunner
from shell_factory import UNIT, running_shell
from traded_exchange import Traded, contents, put_the_cursor_ahead
from trading.command_line.main import cryptovault
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.rebuild import ASIDE, _begin_anew, rebuild_projection
from trading.command_line.report import Report
from trading.projector.projector import Projector
from trading.storage.cursors import ORDERS, REBUILDING, Cursor, CursorMoved, Cursors
from trading.storage.journal import MongoJournal
from trading.storage.projection import Changes, Projection
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
    await Cursors(traded.database).put(ORDERS, REBUILDING)
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
    new, later = row | {"_id": "new"}, row | {"batch": row["batch"] + 1}
    insert = projection._orders.insert_many

    async def insert_and_put_aside(*arguments: Any, **options: Any) -> None:
        await insert(*arguments, **options)
        await cursors.put(ORDERS, REBUILDING)

    if begun:
        monkeypatch.setattr(projection._orders, "insert_many", insert_and_put_aside)
    else:
        await cursors.put(ORDERS, REBUILDING)
    changes = Changes(new_orders={"new": new}, changed_orders={row["_id"]: later})
    with pytest.raises(CursorMoved, match=f"the cursor orders from batch {traded.head}"):
        await projection.write(changes, before=cursor, after=Cursor(traded.head + 1, b""))
    assert await traded.database["orders"].find_one({"_id": traded.resting}) == row
    assert await traded.database["orders"].count_documents({"_id": "new"}) == begun


class _BrokenOff(Exception):
    """As by Ctrl-C."""


async def test_a_rebuild_that_was_broken_off_is_not_run_again_over_another_journal(
    traded: Traded,
    monkeypatch: pytest.MonkeyPatch,
    mongo: MongoConnection,
    mongo_journal: MongoJournal,
    mongo_url: str,
) -> None:
    before, cursor = await contents(traded.database), await Cursors(traded.database).read(ORDERS)
    put = Cursors.put

    async def and_break_off(self: Cursors, name: str, cursor: Cursor) -> None:
        await put(self, name, cursor)
        if (name, cursor) == (ORDERS, REBUILDING):
            raise _BrokenOff

    snapshots = MongoSnapshots(traded.database)
    exchange = OpenExchange(mongo, mongo_journal, snapshots)
    with monkeypatch.context() as patched:
        patched.setattr(Cursors, "put", and_break_off)
        # Twice: the second finds what the first has put aside.
        for _ in range(2):
            with pytest.raises(_BrokenOff):
                await rebuild_projection(exchange, Report(as_json=True), other_journal=False)
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
        await Cursors(traded.database).put(ORDERS, REBUILDING)
    await traded.database["journal"].rename("elsewhere")
    before = await contents(traded.database)
    refused = await traded.run("rebuild", "--yes", "--other-journal")
    assert refused.exit_code == 2
    assert "has no journal" in refused.complaint
    assert await contents(traded.database) == before


async def test_of_two_rebuilds_at_a_time_the_first_ends_with_a_sentence(
    traded: Traded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one begins while it folds: what each has filled so far is dropped."""
    move = Cursors.move

    async def after_the_other_began(self: Cursors, name: str, *, before: Cursor, after: Cursor) -> None:
        await self.put(name, Cursor(1, b"of the other"))
        await move(self, name, before=before, after=after)

    monkeypatch.setattr(Cursors, "move", after_the_other_began)
    for name, value in traded.environment.items():
        monkeypatch.setenv(name, value)
    before = await contents(traded.database)
    ran = await asyncio.to_thread(CliRunner().invoke, cryptovault, ["exchange", "rebuild", "--yes"])
    assert "WRONG  another process moved the cursor orders_rebuilt from batch 0" in ran.output
    assert ran.exit_code == 1
    assert await contents(traded.database) == before


async def test_a_rebuild_that_begins_while_another_puts_its_own_in_use_ends_that_one(
    traded: Traded, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await contents(traded.database)
    put = Cursors.put

    async def and_the_other_begins(self: Cursors, name: str, cursor: Cursor) -> None:
        await put(self, name, cursor)
        if (name, cursor) == (ORDERS, REBUILDING):
            await _begin_anew(self._collection.database, self)

    monkeypatch.setattr(Cursors, "put", and_the_other_begins)
    for name, value in traded.environment.items():
        monkeypatch.setenv(name, value)
    ran = await asyncio.to_thread(CliRunner().invoke, cryptovault, ["exchange", "rebuild", "--yes"])
    assert "WRONG  another rebuild has begun" in ran.output
    assert await contents(traded.database) == before
    assert await Cursors(traded.database).read(ORDERS) == REBUILDING
