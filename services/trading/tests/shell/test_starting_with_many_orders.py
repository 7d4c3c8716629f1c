"""100,000 open orders: how long until a leader that starts takes its first order. CPU time, since machines are busy."""

import time
from collections.abc import Callable

import pytest
from shell_factory import MARKET, PRICE, UNIT, MemoryJournal, actor, limit, running_shell
from trading.domain.accounts import Posting
from trading.domain.commands import PlaceOrder, SetReferencePrice, Transfer
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.orders import OrderStatus, Side
from trading.domain.snapshot import state_hash, take_snapshot
from trading.domain.state import Limits
from trading.projector.fold import Fold
from trading.projector.projector import BATCHES_PER_READ
from trading.sequencer.memory import Memory
from trading.sequencer.open_batch import OpenBatch
from trading.sequencer.recovery import recover
from trading.sequencer.snapshots import Manifest, Snapshot, make_snapshot
from trading.storage.projection import Changes

ORDERS_PER_USER = 100
ORDERS_PER_BATCH = 100
START_SECONDS_MAX = 30.0


class SnapshotInHand:
    """`SnapshotStore` of one."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def manifests(self) -> list[Manifest]:
        return [self._snapshot.manifest]

    async def chunks(self, manifest: Manifest) -> list[bytes]:
        return list(self._snapshot.chunks)


def grow(journal: MemoryJournal, memory: Memory, orders: int) -> None:
    """Appends batches of resting orders, made by the core itself."""
    users = [f"user-{number}" for number in range(orders // ORDERS_PER_USER)]
    deposits = [
        Transfer(
            actor(""), f"deposit:{user}", "deposit",
            (Posting("external", "USD", -(10**6) * UNIT), Posting(f"user:{user}", "USD", 10**6 * UNIT)),
        )
        for user in users
    ]  # fmt: skip
    placing = [
        limit(user, Side.BUY, UNIT // 1000, PRICE - (1_000 + number * 10) * UNIT, key=f"{user}/{number}")
        for number in range(ORDERS_PER_USER)
        for user in users
    ]
    commands: list[Transfer | PlaceOrder] = [*deposits, *placing]
    for first in range(0, len(commands), ORDERS_PER_BATCH):
        now = memory.state.batch_milliseconds + 10
        batch = OpenBatch(memory, now)
        batch.run(SetReferencePrice(MARKET, PRICE, "simulator", now, now))
        for command in commands[first : first + ORDERS_PER_BATCH]:
            batch.run(command)
        sealed = batch.seal(batch.finish(), epoch=memory.epoch, writer="grown")
        journal.store(sealed)
        memory.stand_at(sealed)


@pytest.mark.parametrize("orders", [2_000, pytest.param(100_000, marks=pytest.mark.long)])
async def test_a_leader_with_many_open_orders_starts_within_its_time(
    orders: int, record_property: Callable[[str, object], None]
) -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        assert len(shell.state.markets) == len(default_markets())
        assert len(shell.state.assets) == len(default_assets())
    memory = await recover(journal, Limits())
    grow(journal, memory, orders)
    assert len(memory.state.orders) == orders

    def measured(name: str, since: float) -> float:
        seconds = time.process_time() - since
        record_property(name, round(seconds, 2))
        print(f"{name}: {seconds:.2f} s CPU with {orders} open orders")  # noqa: T201 - the figure is the point
        return seconds

    started = time.process_time()
    plain = take_snapshot(memory.state)
    measured("fold stands still for a snapshot", started)
    snapshot = make_snapshot(
        plain, memory.evicted_keys.content, batch=memory.number, digest=memory.digest, epoch=memory.epoch
    )
    measured("snapshot taken", started)
    started = time.process_time()
    restored = await recover(journal, Limits(), SnapshotInHand(snapshot))
    assert measured("leader from a snapshot", started) < START_SECONDS_MAX
    started = time.process_time()
    folded = await recover(journal, Limits())
    assert measured("leader from the beginning", started) < START_SECONDS_MAX
    assert state_hash(restored.state) == state_hash(folded.state) == snapshot.manifest.state_hash
    started = time.process_time()
    fold, after = Fold(), 0
    while batches := await journal.read_after(after, BATCHES_PER_READ):
        for batch in batches:
            fold.apply(batch, Changes())
        after = batches[-1].number
    assert measured("projector from the beginning", started) < START_SECONDS_MAX
    async with running_shell(journal, writer="writer-b") as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))
        assert placed.order is not None
        assert placed.order.status is OrderStatus.OPEN
        assert MARKET in shell.state.markets
