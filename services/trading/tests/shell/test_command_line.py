"""`cryptovault exchange`, as an operator runs it: a process of its own beside a real journal."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.mongo import MongoConnection, MongoDatabase
from click.testing import CliRunner
from shell_factory import PRICE, UNIT, actor, buy_for, cancel, limit, running_shell
from test_other_scales import MARKET as ORE_IN_EUROS
from trading.command_line import compare_rows
from trading.command_line.explain_order import explain_order
from trading.command_line.main import cryptovault
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.rebuild import _begin_anew
from trading.command_line.report import Report
from trading.command_line.verify import verify_journal
from trading.domain.accounts import Posting
from trading.domain.commands import AmendOrder, HoldTransfer, SetAsset, SetMarket
from trading.domain.markets import Asset
from trading.domain.orders import Side
from trading.domain.snapshot import state_hash
from trading.journal.batch import CORE_VERSION, SealedBatch, digest_of
from trading.journal.codec import decode_body
from trading.projector.projector import Projector
from trading.projector.snapshot_taker import SnapshotTaker
from trading.storage.cursors import ORDERS, REBUILDING, Cursor, CursorMoved, Cursors
from trading.storage.documents import DOCUMENTS, OrderDocument
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection
from trading.storage.snapshots import KEPT, MongoSnapshots

COST = 100_10 * UNIT // 100


@dataclass
class Ran:
    exit_code: int
    output: str
    complaint: str

    @property
    def facts(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.output)
        return document


@dataclass
class Traded:
    """An exchange that has traded a little and stopped, and the tools beside it."""

    database: MongoDatabase
    environment: dict[str, str]
    head: int
    state_hash: str
    filled: str
    cancelled: str
    resting: str = ""
    rested: int = 0  # the batch after which `cancelled` rests

    async def run(self, *arguments: str, **environment: str) -> Ran:
        return await ended(await begun(*arguments, **{**self.environment, **environment}))


async def begun(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trading.command_line.main", "exchange", *arguments, env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> Ran:
    output, complaint = await process.communicate()
    return Ran(process.returncode or 0, output.decode(), complaint.decode())


@pytest.fixture
async def traded(mongo_url: str, mongo_database: MongoDatabase, mongo_journal: MongoJournal) -> Traded:
    snapshots = MongoSnapshots(mongo_database)
    projector = Projector(mongo_journal, Projection(mongo_database), snapshots)
    await projector.catch_up()
    running = asyncio.create_task(projector.run())
    async with running_shell(mongo_journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        filled = await shell.send(buy_for("ann", COST, key="k"))
        resting = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))
        assert filled.order is not None
        assert resting.order is not None
        assert await projector.stored(resting.batch, 20)
        await SnapshotTaker(projector, snapshots, SystemClock()).take()
        await shell.send(cancel("ann", resting.order.order_id, key="c"))
        moves = (Posting("user:ann", "USD", -5 * UNIT), Posting("external", "USD", 5 * UNIT))
        await shell.send(HoldTransfer(actor("ann"), "w1", "withdrawal", moves))
        left = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 200 * UNIT))
        assert left.order is not None
        last = await shell.send(buy_for("ann", COST))
        assert await projector.stored(last.batch, 20)
        hash_of_state = state_hash(shell.state)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    environment = {"CRYPTOVAULT_MONGO_URL": mongo_url, "CRYPTOVAULT_MONGO_DATABASE": mongo_database.name}
    return Traded(
        mongo_database, environment, last.batch, hash_of_state, filled.order.order_id, resting.order.order_id,
        left.order.order_id, resting.batch,
    )  # fmt: skip


async def test_a_replay_gives_the_live_states_hash_from_wherever_it_starts(traded: Traded) -> None:
    whole, shortened, earlier = await asyncio.gather(
        traded.run("replay", "--json"),
        traded.run("replay", "--from-snapshot", "--json"),
        traded.run("replay", "--to", "3"),
    )
    assert (whole.exit_code, shortened.exit_code, earlier.exit_code) == (0, 0, 0)
    assert whole.facts["state_hash"] == shortened.facts["state_hash"] == traded.state_hash
    # Progress is told beside the output, which stays JSON.
    assert "folding" in whole.complaint
    assert whole.facts["started_at"] == 0
    assert shortened.facts["started_at"] == traded.rested
    assert "state hash" in earlier.output
    assert traded.state_hash not in earlier.output
    beyond = await traded.run("replay", "--to", "1000")
    assert beyond.exit_code == 1
    assert f"the journal ends at batch {traded.head}" in beyond.output


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


async def put_the_cursor_ahead(traded: Traded, last: SealedBatch) -> None:
    await Cursors(traded.database).put(ORDERS, Cursor(last.number + 1, b"?"))


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


async def test_of_many_rows_that_are_lost_some_are_named_and_the_rest_is_counted(
    traded: Traded, monkeypatch: pytest.MonkeyPatch, mongo: MongoConnection, mongo_journal: MongoJournal
) -> None:
    monkeypatch.setattr(compare_rows, "DIFFERENCES_SHOWN_MAX", 2)
    await traded.database["orders"].delete_many({})
    report = Report(as_json=True)
    await verify_journal(OpenExchange(mongo, mongo_journal, MongoSnapshots(traded.database)), report)
    assert [problem.rpartition(" ")[2] for problem in report.problems[:2]] == ["missing", "missing"]
    assert report.problems[2:] == ["and 2 more such differences of rows"]


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


async def test_an_orders_life_is_told_also_without_its_row(traded: Traded) -> None:
    ran, cancelled = await asyncio.gather(
        traded.run("explain", traded.filled, "--json"), traded.run("explain", traded.cancelled)
    )
    life = ran.facts["life"]
    assert [step["event"] for step in life] == ["OrderPlaced", "Traded"]
    assert (life[0]["user"], life[0]["market"], life[0]["idempotency_key"]) == ("ann", "BTC-USD", "k")
    assert (life[1]["price"], life[1]["hold_reduction"]) == ("60030", life[0]["hold"]) == ("60030", "100.1")
    assert life[1]["house_consumed"] == life[1]["quantity"]
    assert "OrderClosed" in cancelled.output
    assert "by=CancelOrder" in cancelled.output
    await traded.database["orders"].delete_many({})
    assert (await traded.run("explain", traded.filled, "--json")).facts == ran.facts
    unknown = await traded.run("explain", "nobody")
    assert unknown.exit_code == 1
    assert "no order nobody" in unknown.output


async def put_behind(traded: Traded, journal: MongoJournal) -> None:
    """Rows are written behind: that of `cancelled` does not tell of its end yet."""
    placed = await journal.read(traded.rested)
    assert placed is not None
    await traded.database["orders"].update_one(
        {"_id": traded.cancelled}, {"$set": {"batch": placed.number, "status": "open"}}
    )
    await Cursors(traded.database).put(ORDERS, Cursor(placed.number, placed.digest))


async def test_an_orders_life_goes_on_where_its_row_ends(traded: Traded, mongo_journal: MongoJournal) -> None:
    await put_behind(traded, mongo_journal)
    ran = await traded.run("explain", traded.cancelled, "--json")
    assert [step["event"] for step in ran.facts["life"]] == ["OrderPlaced", "OrderClosed"]


async def test_an_orders_life_is_whole_where_its_row_is_written_meanwhile(
    traded: Traded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mongo: MongoConnection,
    mongo_journal: MongoJournal,
) -> None:
    read, head = OrderDocument.get, await Cursors(traded.database).read(ORDERS)
    await put_behind(traded, mongo_journal)

    async def read_and_go_on(order_id: str) -> OrderDocument | None:
        row = await read(order_id)
        await Cursors(traded.database).put(ORDERS, head)
        return row

    monkeypatch.setattr(OrderDocument, "get", read_and_go_on)
    report = Report(as_json=True)
    exchange = OpenExchange(mongo, mongo_journal, MongoSnapshots(traded.database))
    await explain_order(exchange, report, traded.cancelled)
    report.finish()
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [step["event"] for step in facts["life"]] == ["OrderPlaced", "OrderClosed"]


async def test_the_figures_of_a_life_are_in_the_units_of_their_assets(
    mongo_url: str, mongo_database: MongoDatabase, mongo_journal: MongoJournal
) -> None:
    """Of ore in kilograms of a tonne, and euros in cents."""
    async with running_shell(mongo_journal) as shell:
        for asset in (Asset("EUR", "Euro", 2), Asset("ORE", "Ore", 3)):
            await shell.send(SetAsset(actor("operator"), asset, "listed"))
            await shell.deposit("ann", asset.code, 100_000)
        await shell.send(SetMarket(actor("operator"), ORE_IN_EUROS, "listed"))
        shell.tick(7_700, ORE_IN_EUROS.symbol)
        order_ids = []
        for side, price in ((Side.BUY, 7_500), (Side.SELL, 8_000)):
            placed = await shell.send(limit("ann", side, 1_000, price)._replace(market=ORE_IN_EUROS.symbol))
            assert placed.order is not None
            order_ids.append(placed.order.order_id)
            await shell.send(AmendOrder(actor("ann"), placed.order.order_id, quantity=2 * UNIT))
    environment = {"CRYPTOVAULT_MONGO_URL": mongo_url, "CRYPTOVAULT_MONGO_DATABASE": mongo_database.name}
    tools = Traded(mongo_database, environment, 0, "", "", "")
    bought, sold = [(await tools.run("explain", order_id, "--json")).facts["life"] for order_id in order_ids]
    assert (bought[0]["price"], bought[0]["quantity"], bought[0]["hold"]) == ("75", "1", "75.1")
    assert (bought[1]["quantity_before"], bought[1]["hold_change"]) == ("1", "75.1")
    assert (sold[1]["price_before"], sold[1]["quantity_before"], sold[1]["hold_change"]) == ("80", "1", "1")


async def test_of_a_database_without_a_journal_nothing_is_said_and_it_is_left_as_it_is(traded: Traded) -> None:
    """The tools may be of another release than what runs: its indexes are not theirs to make."""
    empty = traded.database.client["nothing_here"]
    for command in ("verify", "replay"):
        ran = await traded.run(command, CRYPTOVAULT_MONGO_DATABASE=empty.name)
        assert ran.exit_code == 2
        assert "The database nothing_here has no journal" in ran.complaint
        assert ran.output == ""
    assert await empty.list_collection_names() == []


async def test_a_balance_is_told_by_its_postings_and_what_holds_of_it(traded: Traded) -> None:
    ran, fees, few, nobody = await asyncio.gather(
        traded.run("explain", "user:ann", "USD", "--json"),
        traded.run("explain", "fees", "USD", "--json"),
        traded.run("explain", "user:ann", "USD", "--newest", "1"),
        traded.run("explain", "user:nobody", "USD"),
    )
    assert (ran.exit_code, ran.facts["problems"]) == (0, [])
    postings = ran.facts["newest_postings"]
    assert [posting["kind"] for posting in postings] == ["deposit", "trade", "trade"]
    assert (postings[0]["amount"], postings[0]["total"], postings[0]["with"]) == ("1000", "1000", "external")
    holds = {hold["by"]: Decimal(hold["amount"]) for hold in ran.facts["holds"]}
    assert holds.keys() == {f"order {traded.resting}", "transfer w1"}
    sums = [Decimal(posting["amount"]) for posting in postings]
    assert str(sum(sums)) == postings[-1]["total"] == ran.facts["sum_of_postings"]
    assert sum(sums) - sum(holds.values()) == Decimal(ran.facts["available"])
    paid = [Decimal(posting["amount"]) for posting in fees.facts["newest_postings"]]
    assert len(paid) == 2
    assert all(fee > 0 for fee in paid)
    assert fees.facts["newest_postings"][0]["user"] == "ann"
    assert few.output.count("trade") == 1
    assert "deposit" not in few.output
    assert nobody.exit_code == 1
    assert "no account user:nobody" in nobody.output


async def test_what_is_held_is_told_by_order_and_transfer(
    mongo_url: str, mongo_database: MongoDatabase, mongo_journal: MongoJournal
) -> None:
    async with running_shell(mongo_journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))
        moves = (Posting("user:ann", "USD", -5 * UNIT), Posting("external", "USD", 5 * UNIT))
        await shell.send(HoldTransfer(actor("ann"), "w1", "withdrawal", moves))
        held = shell.balance("ann", "USD")[1]
        head = shell.state.batch_number
    environment = {"CRYPTOVAULT_MONGO_URL": mongo_url, "CRYPTOVAULT_MONGO_DATABASE": mongo_database.name}
    tools = Traded(mongo_database, environment, head, "", "", "")
    ran = await tools.run("explain", "user:ann", "USD", "--json")
    assert placed.order is not None
    by = {hold["by"]: Decimal(hold["amount"]) for hold in ran.facts["holds"]}
    assert by == {f"order {placed.order.order_id}": Decimal(held - 5 * UNIT) / UNIT, "transfer w1": Decimal(5)}
    assert (ran.exit_code, ran.facts["problems"]) == (0, [])
    assert Decimal(ran.facts["held"]) == Decimal(held) / UNIT


async def contents(database: MongoDatabase) -> dict[str, list[dict[str, Any]]]:
    names = [document.Settings.name for document in DOCUMENTS]
    return {name: await database[name].find({}).sort("_id", 1).to_list() for name in names}


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


async def test_history_whose_volume_is_gone_is_told_in_a_sentence(traded: Traded, mongo_journal: MongoJournal) -> None:
    await mongo_journal.leave_stubs([2], volume=2)
    for command in (("replay",), ("verify",), ("rebuild", "--yes")):
        ran = await traded.run(*command)
        assert ran.exit_code == 1
        assert "WRONG  What happened then is archived and cannot be read here." in ran.output
        assert "Traceback" not in ran.complaint


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


async def test_exit_codes_tell_why_nothing_was_looked_at(traded: Traded) -> None:
    wrong, no_asset, unset, silent, unsure = await asyncio.gather(
        traded.run("replay", "--to", "zero"),
        traded.run("explain", "fees"),
        traded.run("replay", CRYPTOVAULT_MONGO_URL=""),
        traded.run("verify", CRYPTOVAULT_MONGO_URL="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"),
        traded.run("rebuild"),
    )
    assert (wrong.exit_code, unset.exit_code, silent.exit_code, unsure.exit_code) == (2, 78, 3, 1)
    assert no_asset.exit_code == 2
    assert "in an asset" in no_asset.complaint
    assert "CRYPTOVAULT_MONGO_URL" in unset.complaint
    assert "does not answer" in silent.complaint


async def test_who_breaks_a_command_off_is_told_so_and_nothing_of_what_was_found() -> None:
    asked = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        process = await begun("verify", "--json", CRYPTOVAULT_MONGO_URL=f"mongodb://{host}:{port}")
        await asked.wait()
        process.send_signal(signal.SIGINT)
        ran = await ended(process)
    assert (ran.exit_code, ran.output, ran.complaint) == (130, "", "Broken off.\n")
