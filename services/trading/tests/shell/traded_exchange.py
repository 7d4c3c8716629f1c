"""An exchange that has traded a little and stopped, and `cryptovault exchange` beside it, as an operator runs it."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.mongo import MongoDatabase
from shell_factory import PRICE, UNIT, actor, buy_for, cancel, limit, running_shell
from trading.domain.accounts import Posting
from trading.domain.commands import HoldTransfer
from trading.domain.orders import Side
from trading.domain.snapshot import state_hash
from trading.journal.batch import SealedBatch
from trading.projector.projector import Projector
from trading.projector.snapshot_taker import SnapshotTaker
from trading.storage.cursors import ORDERS, Cursor, Cursors
from trading.storage.documents import DOCUMENTS
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection
from trading.storage.snapshots import MongoSnapshots

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


async def contents(database: MongoDatabase) -> dict[str, list[dict[str, Any]]]:
    names = [document.Settings.name for document in DOCUMENTS]
    return {name: await database[name].find({}).sort("_id", 1).to_list() for name in names}


async def put_the_cursor_ahead(traded: Traded, last: SealedBatch) -> None:
    await Cursors(traded.database).put(ORDERS, Cursor(last.number + 1, b"?"))
