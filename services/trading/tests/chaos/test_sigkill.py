"""The leader dies by SIGKILL again and again under load; nothing acknowledged is lost, nothing happens twice."""

import asyncio
import signal

import pytest
from chassis.mongo import MongoConnection, MongoDatabase
from chassis.testing import eventually
from exchange_processes import (
    START_SECONDS_MAX,
    Processes,
    advances,
    pay_everybody,
)
from order_load import KINDS, Load, check_outcomes, loaded
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.command_line.verify import verify_journal
from trading.domain.events import OrderPlaced, Traded
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.sequencer.recovery import recover
from trading.storage.journal import MongoJournal
from trading.storage.snapshots import MongoSnapshots
from whole_journal import read_whole_journal

KILLS = 5
DEATHS_MAX = 20


async def test_five_kills_under_load_lose_and_double_nothing(
    processes: Processes, mongo: MongoConnection, mongo_database: MongoDatabase
) -> None:
    await processes.start_trading()
    await processes.start_projector()
    await pay_everybody(processes.trading_address)
    async with loaded(processes.trading_address) as load:
        for _ in range(KILLS):
            await advances(lambda: len(load.acknowledged), by=60)
            await processes.kill("trading")
            await processes.start_trading()
        await processes.kill("projector")
        await processes.start_projector()
    assert len(load.acknowledged) >= KILLS * 60
    assert load.kinds_in_doubt() == {*KINDS}
    await check_records(mongo, mongo_database, load)


async def check_records(mongo: MongoConnection, mongo_database: MongoDatabase, load: Load) -> None:
    """The journal, and the rows that were made of it: every order and every fill once, and nothing in them that an
    operator would be told of.
    """
    journal = await read_whole_journal(mongo)
    check_outcomes(load, journal)
    head = journal.exchange.state.batch_number

    async def projected() -> bool:
        cursor = await mongo_database["cursors"].find_one({"_id": "orders"})
        return cursor is not None and cursor["batch"] >= head

    await eventually(projected, START_SECONDS_MAX)
    fills: dict[str, list[int]] = {event.order_id: [] for event in journal.events if isinstance(event, OrderPlaced)}
    for event in journal.events:
        if isinstance(event, Traded):
            for side in (event.buyer, event.seller):
                if side.order_id:
                    fills[side.order_id].append(event.trade_number)
    rows = await mongo_database["orders"].find({}, {"fills.number": 1}).to_list()
    assert {row["_id"]: [fill["number"] for fill in row["fills"]] for row in rows} == fills
    report = Report(as_json=True)
    await verify_journal(OpenExchange(mongo, MongoJournal(mongo), MongoSnapshots(mongo_database)), report)
    assert report.problems == []


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.long)])
async def test_a_projector_that_dies_between_rows_and_cursor_writes_them_again_to_the_same_end(
    processes: Processes, mongo: MongoConnection, mongo_database: MongoDatabase, times: int
) -> None:
    await processes.start_trading()
    await pay_everybody(processes.trading_address)
    async with loaded(processes.trading_address) as load:
        for index in range(times):
            await processes.start_projector(crash_point=f"projection_before_cursor:{3 + index}")
            assert await processes.ended("projector") == -signal.SIGKILL
        await processes.start_projector()
    await check_records(mongo, mongo_database, load)


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize("crash_point", ["snapshot_before_manifest", "archive_before_stubs"])
async def test_a_projector_that_dies_over_a_snapshot_or_the_archive_begins_it_again_and_all_can_be_read(
    processes: Processes,
    mongo: MongoConnection,
    mongo_database: MongoDatabase,
    monkeypatch: pytest.MonkeyPatch,
    *,
    crash_point: str,
    times: int,
) -> None:
    monkeypatch.setenv("CRYPTOVAULT_JOURNAL_RETENTION_DAYS", "0")
    await processes.start_trading()
    await pay_everybody(processes.trading_address)

    async def archived() -> int:
        return await mongo_database["journal"].count_documents({"archived": {"$exists": True}})

    async with loaded(processes.trading_address) as load:
        for index in range(times):
            await processes.start_projector("eager_projector", crash_point=f"{crash_point}:{1 + index % 3}")
            assert await processes.ended("projector") == -signal.SIGKILL
        await processes.start_projector("eager_projector")
        before = await archived()

        async def went_on() -> bool:
            return await archived() > before

        await eventually(went_on, START_SECONDS_MAX)
        # The next leader begins with a snapshot, and with what follows it.
        await processes.kill("trading")
        await processes.start_trading()
        await advances(lambda: len(load.acknowledged), by=60)
    await check_records(mongo, mongo_database, load)
    stubs = await mongo_database["journal"].find({"archived": {"$exists": True}}, {"_id": 1}).sort("_id", 1).to_list()
    assert [stub["_id"] for stub in stubs] == list(range(1, len(stubs) + 1))
    await processes.kill("trading")
    memory = await recover(MongoJournal(mongo), Limits(), MongoSnapshots(mongo_database))
    journal = await read_whole_journal(mongo)
    assert state_hash(memory.state) == state_hash(journal.exchange.state)


@pytest.mark.long
@pytest.mark.parametrize("crash_point", ["before_apply", "after_apply_before_append", "after_append_before_reply"])
async def test_each_crash_point_hit_ten_times_under_load_loses_and_doubles_nothing(
    processes: Processes, mongo: MongoConnection, mongo_database: MongoDatabase, crash_point: str
) -> None:
    await processes.start_projector()
    await processes.start_trading()
    await pay_everybody(processes.trading_address)
    await processes.kill("trading")
    async with loaded(processes.trading_address) as load:
        for hit in range(10):
            await processes.start_trading(f"{crash_point}:{10 + hit}")
            assert await processes.ended("trading") == -signal.SIGKILL
        await processes.start_trading()
    await check_records(mongo, mongo_database, load)


@pytest.mark.parametrize(
    ("crash_point", "durable"),
    [("before_apply", False), ("after_apply_before_append", False), ("after_append_before_reply", True)],
)
async def test_a_retry_after_each_crash_point_has_one_effect(
    processes: Processes, mongo: MongoConnection, crash_point: str, *, durable: bool
) -> None:
    await processes.start_trading()
    await processes.start_projector()
    await pay_everybody(processes.trading_address)
    await processes.kill("trading")
    load = Load(processes.trading_address)
    client = asyncio.create_task(load.client(0))
    deaths = 0
    # Each kind's turn comes to be the one that dies: lives are of some two to five commands.
    while load.kinds_in_doubt() < {*KINDS} and deaths < DEATHS_MAX:
        await processes.start_trading(f"{crash_point}:{3 + deaths % 4}")
        await processes.ended("trading")
        deaths += 1
        journal = await read_whole_journal(mongo)
        assert len({key for _, key in journal.effects} - load.acknowledged.keys()) == durable
    await processes.start_trading()
    await advances(lambda: len(load.acknowledged), by=5)
    assert load.kinds_in_doubt() == {*KINDS}
    load.stopping = True
    await client
    assert load.repeats == (deaths if durable else 0)
    await load.ask_everything_again()
    check_outcomes(load, await read_whole_journal(mongo))
