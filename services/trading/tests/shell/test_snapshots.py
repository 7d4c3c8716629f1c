"""A start from any snapshot is one from the beginning; what is damaged is passed over, what cannot be stops us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.mongo import MongoDatabase
from chassis.testing import FixedClock
from shell_factory import MARKET, PRICE, UNIT, MemoryJournal, Shell, actor, buy_for, cancel, limit, running_shell
from trading.domain.commands import AmendOrder
from trading.domain.orders import Side
from trading.domain.snapshot import state_hash, take_snapshot
from trading.domain.state import Limits
from trading.journal.batch import BrokenChain
from trading.projector.fold import Fold
from trading.projector.projector import Projector
from trading.projector.snapshot_taker import BATCHES_BETWEEN, SECONDS_BETWEEN, SnapshotTaker
from trading.sequencer.memory import Memory
from trading.sequencer.recovery import recover
from trading.sequencer.snapshots import Snapshot, make_snapshot
from trading.storage.projection import Changes, Projection
from trading.storage.snapshots import CHUNKS, MANIFESTS, MongoSnapshots

COST = 100_10 * UNIT // 100
LIMITS = Limits(remembered_batches=3)


class CountingJournal(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.read_from: list[int] = []

    async def read_after(self, number: int, limit: int) -> list[Any]:
        self.read_from.append(number)
        return await super().read_after(number, limit)


@pytest.fixture
def snapshots(mongo_database: MongoDatabase) -> MongoSnapshots:
    return MongoSnapshots(mongo_database)


async def trade(shell: Shell, rounds: int) -> None:
    """Fills, resting orders, cancels and keys that leave memory."""
    for step in range(rounds):
        shell.clock.advance(1)
        shell.tick()
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.send(buy_for("ann", COST, key=f"{shell.counter}"))
        resting = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - (100 + step) * 10 * UNIT))
        if step % 2 and resting.order is not None:
            await shell.send(cancel("ann", resting.order.order_id, key=f"c{shell.counter}"))


def snapshot_of(memory: Memory) -> Snapshot:
    return make_snapshot(
        take_snapshot(memory.state), memory.evicted_keys.content, batch=memory.number, digest=memory.digest,
        epoch=memory.epoch,
    )  # fmt: skip


async def folded(journal: MemoryJournal, up_to: int) -> Memory:
    memory = Memory(LIMITS)
    for batch in await journal.read_after(0, up_to):
        memory.fold(batch)
    return memory


@pytest.fixture(scope="module")
async def journal() -> CountingJournal:
    journal = CountingJournal()
    async with running_shell(journal, limits=LIMITS) as shell:
        await trade(shell, 6)
    return journal


async def test_from_every_snapshot_the_state_is_that_of_the_whole_journal(journal: CountingJournal) -> None:
    whole = await recover(journal, LIMITS)
    for number in range(1, whole.number + 1):
        store = SnapshotInHand(snapshot_of(await folded(journal, number)))
        journal.read_from.clear()
        memory = await recover(journal, LIMITS, store)
        assert min(journal.read_from) == number - 1  # to compare digests; nothing older
        assert state_hash(memory.state) == state_hash(whole.state)
        assert memory.evicted_keys.content == whole.evicted_keys.content
        assert (memory.number, memory.digest, memory.epoch) == (whole.number, whole.digest, whole.epoch)
        command = buy_for("ann", COST, key="1")
        assert memory.evicted_keys.may_hold_a_key_of(memory.state, command)


class SnapshotInHand:
    """`SnapshotStore` of one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def manifests(self) -> list[Any]:
        return [self._snapshot.manifest]

    async def chunks(self, manifest: Any) -> list[bytes]:
        return list(self._snapshot.chunks)


async def test_a_snapshot_is_stored_in_chunks_and_its_hash_is_the_states(
    journal: CountingJournal, snapshots: MongoSnapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading.sequencer.snapshots.CHUNK_BYTES", 200)
    memory = await folded(journal, 12)
    await snapshots.write(snapshot_of(memory))
    (manifest,) = await snapshots.manifests()
    assert manifest.state_hash == state_hash(memory.state)
    assert len(manifest.state_chunks) > 3
    assert manifest == snapshot_of(memory).manifest
    assert await snapshots.chunks(manifest) == list(snapshot_of(memory).chunks)
    await snapshots.write(snapshot_of(memory))
    assert len(await snapshots.manifests()) == 1


async def damage_a_byte(database: MongoDatabase, batch: int) -> None:
    chunk = await database[CHUNKS].find_one({"_id": f"{batch}/0"})
    assert chunk is not None
    data = bytearray(chunk["data"])
    data[len(data) // 2] ^= 1
    await database[CHUNKS].update_one({"_id": f"{batch}/0"}, {"$set": {"data": bytes(data)}})


async def lose_a_chunk(database: MongoDatabase, batch: int) -> None:
    await database[CHUNKS].delete_one({"_id": f"{batch}/1"})


async def swap_the_hash(database: MongoDatabase, batch: int) -> None:
    await database[MANIFESTS].update_one({"_id": batch}, {"$set": {"state_hash": "0" * 64}})


async def lose_the_manifest(database: MongoDatabase, batch: int) -> None:
    await database[MANIFESTS].delete_one({"_id": batch})


@pytest.mark.parametrize("damage", [damage_a_byte, lose_a_chunk, swap_the_hash, lose_the_manifest])
async def test_a_damaged_snapshot_is_passed_over(
    journal: CountingJournal, snapshots: MongoSnapshots, mongo_database: MongoDatabase, damage: Any
) -> None:
    for number in (8, 12):
        await snapshots.write(snapshot_of(await folded(journal, number)))
    await damage(mongo_database, 12)
    journal.read_from.clear()
    memory = await recover(journal, LIMITS, snapshots)
    assert min(journal.read_from) == 7
    assert state_hash(memory.state) == state_hash((await recover(journal, LIMITS)).state)
    await damage(mongo_database, 8)
    journal.read_from.clear()
    await recover(journal, LIMITS, snapshots)
    assert min(journal.read_from) == 0


async def test_a_snapshot_above_the_journals_head_or_of_another_journal_stops_the_start(
    journal: CountingJournal, snapshots: MongoSnapshots
) -> None:
    await snapshots.write(snapshot_of(await folded(journal, 12)))
    restored_too_little = MemoryJournal()
    restored_too_little.batches = {number: journal.batches[number] for number in range(1, 11)}
    with pytest.raises(BrokenChain, match="does not hold batch 12"):
        await recover(restored_too_little, LIMITS, snapshots)
    other = MemoryJournal()
    async with running_shell(other, writer="other") as shell:
        await trade(shell, 6)
    with pytest.raises(BrokenChain, match="does not hold batch 12"):
        await recover(other, LIMITS, snapshots)


async def test_only_the_newest_snapshots_are_kept(
    journal: CountingJournal, snapshots: MongoSnapshots, mongo_database: MongoDatabase
) -> None:
    for number in (4, 6, 8, 10, 12):
        await snapshots.write(snapshot_of(await folded(journal, number)))
    await mongo_database[CHUNKS].insert_one({"_id": "11/0", "batch": 11, "data": b"of a crash before its manifest"})
    await snapshots.prune()
    assert [manifest.batch for manifest in await snapshots.manifests()] == [12, 10, 8]
    assert sorted(await mongo_database[CHUNKS].distinct("batch")) == [8, 10, 12]


def test_a_snapshot_is_due_after_many_batches_or_a_while_in_which_something_happened(
    snapshots: MongoSnapshots,
) -> None:
    clock, cursor = FixedClock(), SimpleNamespace(batch=0)
    taker = SnapshotTaker(SimpleNamespace(fold=SimpleNamespace(cursor=cursor)), snapshots, clock)  # type: ignore[arg-type]
    clock.advance(2 * SECONDS_BETWEEN)
    assert not taker._is_due()  # an idle night takes none
    taker = SnapshotTaker(SimpleNamespace(fold=SimpleNamespace(cursor=cursor)), snapshots, clock)  # type: ignore[arg-type]
    cursor.batch = BATCHES_BETWEEN - 1
    assert not taker._is_due()
    cursor.batch = BATCHES_BETWEEN
    assert taker._is_due()
    cursor.batch = 1
    clock.advance(SECONDS_BETWEEN - 1)
    assert not taker._is_due()
    clock.advance(1)
    assert taker._is_due()


@asynccontextmanager
async def projecting(projector: Projector) -> AsyncIterator[Projector]:
    await projector.catch_up()
    running = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_rows_written_after_a_start_from_a_snapshot_are_those_of_a_fold_from_the_beginning(
    mongo_database: MongoDatabase, snapshots: MongoSnapshots
) -> None:
    journal = CountingJournal()
    async with running_shell(journal, limits=LIMITS) as shell:
        await trade(shell, 2)
        await shell.deposit("bob", "USD", 100_000 * UNIT)
        await shell.deposit("bob", "BTC", UNIT)
        bids = []  # better than the house, so that they are met first
        for step in range(3):
            placed = await shell.send(limit("bob", Side.BUY, UNIT // 100, PRICE - (5 + 5 * step) * UNIT))
            assert placed.order is not None
            bids.append(placed.order.order_id)
        await sell_into(shell, PRICE - 5 * UNIT, UNIT // 200)
        async with projecting(Projector(journal, Projection(mongo_database), snapshots)) as projector:
            assert await projector.stored(max(journal.batches), 10)
            await SnapshotTaker(projector, snapshots, SystemClock()).take()
            # After the snapshot and before the end of this projector: folded without writing by the next one.
            await sell_into(shell, PRICE - 5 * UNIT, UNIT // 400)
            await shell.send(AmendOrder(actor("bob"), bids[2], quantity=UNIT // 200))
            assert await projector.stored(max(journal.batches), 10)
        (manifest,) = await snapshots.manifests()
        journal.read_from.clear()
        async with projecting(Projector(journal, Projection(mongo_database), snapshots)) as projector:
            assert min(journal.read_from) == manifest.batch - 1
            await sell_into(shell, PRICE - 5 * UNIT, UNIT // 400)  # fills the first
            await shell.send(cancel("bob", bids[1]))
            await sell_into(shell, PRICE - 15 * UNIT, UNIT // 400)
            assert await projector.stored(max(journal.batches), 10)
            assert state_hash(projector.fold.state) == state_hash((await recover(journal, LIMITS)).state)
    assert await rows(mongo_database) == whole_fold(journal)


async def sell_into(shell: Shell, price: int, quantity: int) -> None:
    await shell.deposit("eve", "BTC", UNIT)
    sold = await shell.send(limit("eve", Side.SELL, quantity, price))
    assert sold.order is not None
    assert sold.order.filled_quantity == quantity
    assert MARKET in shell.state.markets


async def rows(database: MongoDatabase) -> dict[str, Any]:
    plain = database.client.get_database(database.name)  # Decimal128 as it is stored
    return {row["_id"]: _comparable(row) async for row in plain["orders"].find({})}


def whole_fold(journal: MemoryJournal) -> dict[str, Any]:
    fold, changes = Fold(), Changes()
    for _, batch in sorted(journal.batches.items()):
        fold.apply(batch, changes)
    return {order_id: _comparable(row) for order_id, row in changes.new_orders.items()}


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_comparable(inner) for inner in value]
    return str(value).removesuffix("+00:00")
