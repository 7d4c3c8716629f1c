"""`cryptovault exchange verify`: what does not follow from the journal is found, and nothing else is."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.mongo import MongoConnection, MongoDatabase
from shell_factory import UNIT, buy_for, running_shell
from traded_exchange import COST, Traded, contents, put_the_cursor_ahead
from trading.command_line import compare_rows
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.command_line.verify import verify_journal
from trading.journal.batch import CORE_VERSION, SealedBatch, digest_of
from trading.journal.codec import decode_body
from trading.projector.projector import Projector
from trading.projector.snapshot_taker import SnapshotTaker
from trading.storage.cursors import ORDERS, Cursor, Cursors
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection
from trading.storage.snapshots import KEPT, MongoSnapshots


async def test_a_sound_journal_is_verified(traded: Traded) -> None:
    ran = await traded.run("verify", "--json")
    assert ran.facts["problems"] == []
    assert ran.exit_code == 0
    assert ran.facts["state_hash"] == traded.state_hash
    assert ran.facts["commands_decided_again"] > 25
    assert (ran.facts["newest_snapshot"], ran.facts["projected"]) == (traded.rested, traded.head)
    rows = [row for part in (await contents(traded.database)).values() for row in part]
    assert ran.facts["rows_compared"] == len(rows)
    assert "comparing rows" in ran.complaint


async def alter_bytes(traded: Traded, last: SealedBatch) -> None:
    altered = last.body.replace(b'"ann"', b'"eve"')
    await traded.database["journal"].update_one({"_id": last.number}, {"$set": {"body": altered}})


async def decide_otherwise(traded: Traded, last: SealedBatch) -> None:
    """Sealed again, so that only the rules tell."""
    await _seal_again(traded, last, last.body.replace(b'"ioc",false', b'"ioc",true', 1))


async def change_a_balance(traded: Traded, last: SealedBatch) -> None:
    head, _, accounts = last.body.rpartition(b",[[")
    figures = json.loads(b"[[" + accounts[:-1])
    figures[0][2] += 1
    await _seal_again(traded, last, head + b"," + json.dumps(figures, separators=(",", ":")).encode() + b"]")


async def _seal_again(traded: Traded, last: SealedBatch, body: bytes, *, core_version: int = CORE_VERSION) -> None:
    assert body != last.body
    again = replace(last, body=body, core_version=core_version)
    digest = digest_of(again)
    changed = {"$set": {"body": body, "core_version": core_version, "digest": digest}}
    await traded.database["journal"].update_one({"_id": last.number}, changed)
    await Cursors(traded.database).put(ORDERS, Cursor(last.number, digest))


async def alter_a_snapshot(traded: Traded, last: SealedBatch) -> None:
    await traded.database["snapshots"].update_one({}, {"$set": {"state_hash": "0" * 64}})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (alter_bytes, "is not what was sealed"),
        (decide_otherwise, "PlaceOrder would be"),
        (change_a_balance, "its writer had"),
        (put_the_cursor_ahead, "the journal ends at"),
        (alter_a_snapshot, "its state is not the one that was taken"),
    ],
)
async def test_what_is_wrong_is_found(traded: Traded, mongo_journal: MongoJournal, damage: Any, told: str) -> None:
    last = await mongo_journal.read(traded.head)
    assert last is not None
    await damage(traded, last)
    ran = await traded.run("verify")
    assert told in ran.output
    assert ran.exit_code == 1


async def alter_a_row(database: MongoDatabase, traded: Traded) -> None:
    await database["orders"].update_one({"_id": traded.filled}, {"$set": {"status": "open"}})


async def alter_a_fill(database: MongoDatabase, traded: Traded) -> None:
    await database["orders"].update_one({"_id": traded.filled}, {"$set": {"fills.0.liquidity": "maker"}})


async def alter_what_rests(database: MongoDatabase, traded: Traded) -> None:
    await database["orders"].update_one({"_id": traded.resting}, {"$unset": {"price": ""}})


async def drop_a_collection(database: MongoDatabase, _: Traded) -> None:
    await database["transfers"].drop()


async def end_a_pending_transfer(database: MongoDatabase, _: Traded) -> None:
    await database["transfers"].update_one({"_id": "w1"}, {"$set": {"state": "posted"}})


async def alter_a_key(database: MongoDatabase, _: Traded) -> None:
    await database["used_keys"].update_one({}, {"$set": {"order_ids": []}})


async def lose_a_key(database: MongoDatabase, _: Traded) -> None:
    await database["used_keys"].delete_one({})


async def alter_the_tape(database: MongoDatabase, _: Traded) -> None:
    await database["tape"].update_one({}, {"$set": {"trades.0.price": "1"}})


async def add_a_balance(database: MongoDatabase, traded: Traded) -> None:
    await database["balance_points"].insert_one({"_id": "ann/000000000020", "batch": traded.head})


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (alter_a_row, "status is 'open', by the journal 'filled'"),
        (alter_a_fill, "fills is"),
        (alter_what_rests, "price is None, by the journal"),
        (drop_a_collection, "transfers 'w1' is missing"),
        (end_a_pending_transfer, "transfers 'w1': state is 'posted', by the journal 'pending'"),
        (alter_a_key, "order_ids is []"),
        (lose_a_key, "used_keys 'ann\\nc' is missing"),
        (alter_the_tape, "trades is"),
        (add_a_balance, "balance_points has 1 rows that the journal does not know"),
    ],
)
async def test_a_row_that_does_not_follow_from_the_journal_is_found(traded: Traded, damage: Any, told: str) -> None:
    await damage(traded.database, traded)
    ran = await traded.run("verify")
    assert told in ran.output
    assert ran.exit_code == 1


async def test_of_many_differences_some_are_named_and_the_rest_is_counted(traded: Traded) -> None:
    """A lost collection is as many as it had rows."""
    unknown = {f"unknown_{number}": number for number in range(8)}
    orders = (await traded.database["orders"].update_many({}, {"$set": unknown})).modified_count
    ran = await traded.run("verify", "--json")
    *named, last = ran.facts["problems"]
    assert (len(named), last) == (20, f"and {8 * orders - 20} more such differences of rows")
    assert all("by the journal None" in problem for problem in named)
    assert ran.exit_code == 1


async def test_rows_that_are_behind_or_ahead_of_their_cursor_are_no_difference(
    traded: Traded, mongo_journal: MongoJournal
) -> None:
    """Rows are written behind the journal, and the cursor behind them."""
    placed = await mongo_journal.read(traded.rested)
    assert placed is not None
    await Cursors(traded.database).put(ORDERS, Cursor(placed.number, placed.digest))
    ahead = await traded.run("verify", "--json")
    assert (ahead.facts["problems"], ahead.facts["projected"]) == ([], traded.rested)
    await traded.database["orders"].delete_many({"placed_batch": {"$gt": traded.rested}})
    behind = await traded.run("verify", "--json")
    assert (behind.facts["problems"], behind.exit_code) == ([], 0)


async def test_what_goes_by_itself_or_was_never_written_is_no_difference(
    traded: Traded, monkeypatch: pytest.MonkeyPatch, mongo: MongoConnection, mongo_journal: MongoJournal
) -> None:
    async def problems() -> list[str]:
        report = Report(as_json=True)
        await verify_journal(OpenExchange(mongo, mongo_journal, MongoSnapshots(traded.database)), report)
        return report.problems

    # An older release's row, and a key that was free again after a day and has been used again.
    await traded.database["orders"].update_one({"_id": traded.filled}, {"$unset": {"stop_price": "", "amendments": ""}})
    await traded.database["used_keys"].update_one({}, {"$set": {"order_ids": ["later"], "batch": traded.head + 1}})
    assert await problems() == []
    await traded.database["used_keys"].delete_one({})
    assert len(await problems()) == 1
    monkeypatch.setattr(compare_rows, "ORDER_KEY_SECONDS", 0)
    assert await problems() == []


async def test_what_older_rules_decided_is_not_judged_by_todays(traded: Traded, mongo_journal: MongoJournal) -> None:
    last = await mongo_journal.read(traded.head)
    assert last is not None
    # The command comes first: of a little less, today's rules would not make these events.
    otherwise = last.body.replace(b"%d" % COST, b"%d" % (COST - UNIT), 1)
    await _seal_again(traded, last, otherwise, core_version=CORE_VERSION - 1)
    ran = await traded.run("verify", "--json")
    assert ran.facts["problems"] == []
    assert ran.facts["commands_of_other_rules"] == len(decode_body(last.body).entries)
    assert ran.facts["state_hash"] == traded.state_hash


class _GrowingJournal(MongoJournal):
    """Something happens right after its head was read for the first time."""

    def __init__(self, connection: MongoConnection, happens: Callable[[], Awaitable[None]]) -> None:
        super().__init__(connection)
        self._happens: Callable[[], Awaitable[None]] | None = happens

    async def head(self) -> int:
        head, happens = await super().head(), self._happens
        self._happens = None
        if happens is not None:
            await happens()
        return head


async def test_an_exchange_that_goes_on_meanwhile_is_verified(
    mongo: MongoConnection, mongo_database: MongoDatabase, mongo_journal: MongoJournal
) -> None:
    snapshots = MongoSnapshots(mongo_database)
    projector = Projector(mongo_journal, Projection(mongo_database), snapshots)
    taker = SnapshotTaker(projector, snapshots, SystemClock())
    await projector.catch_up()
    running = asyncio.create_task(projector.run())
    async with running_shell(mongo_journal) as shell:

        async def trade_on() -> None:
            """Long enough that no snapshot of before is kept."""
            for _ in range(KEPT):
                last = await shell.send(buy_for("ann", COST))
                assert await projector.stored(last.batch, 20)
                await taker.take()

        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await trade_on()
        report, growing = Report(as_json=True), _GrowingJournal(mongo, trade_on)
        await verify_journal(OpenExchange(mongo, growing, snapshots), report)
        await growing.close()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert report.problems == []
