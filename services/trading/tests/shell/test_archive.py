"""Old batches leave the journal for volumes: no number becomes free, and no reader notices."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.mongo import MongoDatabase
from chassis.testing import FixedClock
from shell_factory import UNIT, buy_for, running_shell
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.journal.batch import BrokenChain, SealedBatch
from trading.journal.store import BatchNumberTaken, HistoryArchived
from trading.projector.archiver import Archiver
from trading.projector.projector import Projector
from trading.projector.snapshot_taker import SnapshotTaker
from trading.sequencer.recovery import recover
from trading.storage.archive import VOLUMES
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection
from trading.storage.snapshots import MongoSnapshots

COST = 100_10 * UNIT // 100


class Traded:
    """A journal of some twenty batches with a snapshot near its end."""

    def __init__(
        self, journal: MongoJournal, projector: Projector, snapshots: MongoSnapshots, clock: FixedClock
    ) -> None:
        self.journal = journal
        self.projector = projector
        self.snapshots = snapshots
        self.clock = clock
        self.batches: list[SealedBatch] = []
        self.snapshot_batch = 0
        self.state_hash = ""

    def archiver(self, *, retention: timedelta = timedelta(0)) -> Archiver:
        return Archiver(
            journal=self.journal, projector=self.projector, snapshots=self.snapshots, clock=self.clock,
            retention=retention,
        )  # fmt: skip


@pytest.fixture
async def traded(mongo_journal: MongoJournal, mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch) -> Traded:
    monkeypatch.setattr("trading.projector.archiver.VOLUME_BATCHES_MAX", 4)
    snapshots = MongoSnapshots(mongo_database)
    projector = Projector(mongo_journal, Projection(mongo_database), snapshots)
    await projector.catch_up()
    folding = asyncio.create_task(projector.run())
    async with running_shell(mongo_journal) as shell:
        found = Traded(mongo_journal, projector, snapshots, shell.clock)
        for step in range(14):
            shell.clock.advance(1)
            shell.tick()
            await shell.deposit("ann", "USD", 1_000 * UNIT)
            last = await shell.send(buy_for("ann", COST))
            if step == 11:
                assert await projector.stored(last.batch, 20)
                await SnapshotTaker(projector, snapshots, SystemClock()).take()
                found.snapshot_batch = projector.fold.memory.number
        assert await projector.stored(last.batch, 20)
        found.state_hash = state_hash(shell.state)
    folding.cancel()
    await asyncio.gather(folding, return_exceptions=True)
    found.batches = await mongo_journal.read_after(0, 100)
    return found


async def stubs(database: MongoDatabase) -> list[dict[str, Any]]:
    return await database["journal"].find({"archived": {"$exists": True}}).sort("_id", 1).to_list()


async def test_old_batches_become_stubs_that_every_reader_reads_through(
    traded: Traded, mongo_database: MongoDatabase
) -> None:
    archived = await traded.archiver().archive()
    assert archived == (traded.snapshot_batch - 1) // 4 * 4 > 12
    left = await stubs(mongo_database)
    assert [stub["_id"] for stub in left] == list(range(1, archived + 1))
    assert all("body" not in stub and stub["digest"] for stub in left)
    assert await traded.journal.read_after(0, 100) == traded.batches
    assert await traded.journal.read(3) == traded.batches[2]
    of_ann = [batch for batch in traded.batches if any(user.startswith("ann/") for user in batch.users)]
    assert await traded.journal.of_user("ann", range(1, 100)) == of_ann
    with pytest.raises(BatchNumberTaken):
        await traded.journal.append(traded.batches[2])
    assert state_hash((await recover(traded.journal, Limits())).state) == traded.state_hash
    assert await traded.archiver().archive() == 0


async def test_what_is_young_or_not_behind_every_snapshot_stays(traded: Traded, mongo_database: MongoDatabase) -> None:
    assert await traded.archiver(retention=timedelta(days=1)).archive() == 0
    young = traded.clock.now() - timedelta(seconds=10)
    assert await traded.archiver(retention=timedelta(seconds=10)).archive() > 0
    newest = (await stubs(mongo_database))[-1]
    assert newest["time"] <= young.timestamp() * 1000
    await mongo_database["snapshots"].delete_many({})
    assert await traded.archiver().archive() == 0


async def test_an_archive_broken_off_before_its_stubs_is_finished_later(
    traded: Traded, mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(_: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("trading.projector.archiver.crash_point", dies)
    with pytest.raises(ZeroDivisionError):
        await traded.archiver().archive()
    assert await stubs(mongo_database) == []
    monkeypatch.undo()
    monkeypatch.setattr("trading.projector.archiver.VOLUME_BATCHES_MAX", 1_000)  # no further volume is full
    assert await traded.archiver().archive() == 0
    assert [stub["_id"] for stub in await stubs(mongo_database)] == [1, 2, 3, 4]
    assert await traded.journal.read_after(0, 100) == traded.batches


async def test_a_volume_that_is_gone_or_damaged_is_told_and_never_read_over(
    traded: Traded, mongo_database: MongoDatabase, mongo: Any
) -> None:
    await traded.archiver().archive()
    volume = await mongo_database[VOLUMES].find_one({"_id": 5})
    assert volume is not None
    damaged = bytes([volume["data"][0] ^ 1]) + bytes(volume["data"][1:])
    await mongo_database[VOLUMES].update_one({"_id": 5}, {"$set": {"data": damaged}})
    afresh = MongoJournal(mongo)
    with pytest.raises(BrokenChain, match="volume of batch 5"):
        await afresh.read_after(0, 100)
    await mongo_database[VOLUMES].delete_one({"_id": 5})
    with pytest.raises(HistoryArchived):
        await afresh.read_after(4, 1)
    with pytest.raises(HistoryArchived):
        await afresh.of_user("ann", range(1, 100))
    assert await afresh.read_after(0, 4) == traded.batches[:4]
    # A leader starts from a snapshot and needs none of it.
    assert state_hash((await recover(afresh, Limits(), traded.snapshots)).state) == traded.state_hash
    await afresh.close()
