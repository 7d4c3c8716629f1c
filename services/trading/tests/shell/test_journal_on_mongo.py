import asyncio
from dataclasses import replace

import pytest
from chassis.mongo import MongoDatabase
from shell_factory import MARKET, PRICE, UNIT, actor, buy_for, cancel, limit, running_shell
from trading.domain.commands import SetMarket
from trading.domain.errors import ClientOrderIdReused
from trading.domain.events import OrderPlaced
from trading.domain.orders import OrderStatus, Side
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.journal.batch import SealedBatch, seal
from trading.journal.codec import decode_events
from trading.journal.store import BatchNumberTaken, JournalUnreachable
from trading.projector.projector import Projector
from trading.sequencer.breakdown import Deposed
from trading.sequencer.errors import NotLeading
from trading.sequencer.recovery import recover
from trading.sequencer.tickets import Committed
from trading.storage.history import MongoHistory
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection

COST = 100_10 * UNIT // 100


def empty_batch(number: int, writer: str = "w") -> SealedBatch:
    return seal(
        number=number, epoch=1, writer=writer, time_milliseconds=number, users=("ann/00000000000a",), body=b"[1,[],[]]",
        previous=bytes(32),
    )  # fmt: skip


async def test_a_number_is_given_once(mongo_journal: MongoJournal) -> None:
    await mongo_journal.append(empty_batch(1))
    with pytest.raises(BatchNumberTaken):
        await mongo_journal.append(empty_batch(1, writer="x"))
    assert await mongo_journal.read(1) == empty_batch(1)
    assert await mongo_journal.read(2) is None


async def test_reading_stops_at_a_gap(mongo_journal: MongoJournal) -> None:
    for number in (1, 2, 4):
        await mongo_journal.append(empty_batch(number))
    assert [batch.number for batch in await mongo_journal.read_after(0, 10)] == [1, 2]
    assert [batch.number for batch in await mongo_journal.read_after(1, 1)] == [2]
    assert await mongo_journal.read_after(2, 10) == []
    assert [batch.number for batch in await mongo_journal.of_user("ann", [9, 10])] == [1, 2, 4]
    assert await mongo_journal.of_user("ann", [11]) == []


async def test_an_unreachable_journal_says_so(mongo_journal: MongoJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading.storage.journal.READ_TIMEOUT_SECONDS", 0.000_001)
    with pytest.raises(JournalUnreachable):
        await mongo_journal.read(1)


async def test_live_state_and_replay_are_hash_equal_after_a_busy_hour(mongo_journal: MongoJournal) -> None:
    async with running_shell(mongo_journal) as shell:
        await shell.deposit("ann", "USD", 100_000 * UNIT)
        await shell.deposit("bob", "USD", 100_000 * UNIT)
        for step in range(20):
            shell.clock.advance(1)
            shell.tick(PRICE + step * 10 * UNIT)
            prices = [PRICE - (10 + step) * 10 * UNIT, PRICE + (5 + step) * 10 * UNIT]
            orders = [buy_for("ann", COST, key=f"{step}"), *(limit("bob", Side.BUY, UNIT // 1000, p) for p in prices)]
            replies = await asyncio.gather(*(shell.send(order) for order in orders))
            if step % 3 == 0 and replies[1].order is not None:
                await shell.send(cancel("bob", replies[1].order.order_id))
        assert state_hash((await recover(mongo_journal, Limits())).state) == state_hash(shell.state)


async def test_two_writers_on_one_journal_never_share_a_number(mongo_journal: MongoJournal) -> None:
    async with running_shell(mongo_journal) as old:
        await old.deposit("ann", "USD", 100_000 * UNIT)
        sent = [old.send(buy_for("ann", COST, key=f"old-{index}")) for index in range(5)]
        async with running_shell(mongo_journal, writer="writer-b") as new:
            racing = [new.send(buy_for("ann", COST, key=f"new-{index}")) for index in range(5)]
            sent += [old.send(buy_for("ann", COST, key=f"late-{index}")) for index in range(5)]
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
            assert all(not isinstance(outcome, BaseException) for outcome in await asyncio.gather(*racing))
            with pytest.raises(Deposed):
                await old.running
            told = {outcome.order.order_id for outcome in outcomes if isinstance(outcome, Committed) and outcome.order}
            assert all(isinstance(outcome, NotLeading) for outcome in outcomes if isinstance(outcome, BaseException))
            memory = await recover(mongo_journal, Limits())
            assert state_hash(memory.state) == state_hash(new.state)
        batches = await mongo_journal.read_after(0, 1_000)
        placed = [
            event.order_id for batch in batches for event in decode_events(batch.body)
            if isinstance(event, OrderPlaced)
        ]  # fmt: skip
        assert len(placed) == len(set(placed)) == len(told) + 5
        assert told <= set(placed)


@pytest.mark.parametrize(
    "limits", [Limits(remembered_batches=2), Limits(remembered_keys=1)], ids=["old", "crowded out"]
)
async def test_old_keys_are_found_in_the_real_projection(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase, limits: Limits
) -> None:
    holder: dict[str, MongoHistory] = {}
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    folding = asyncio.create_task(projector.run())

    class Late:
        """The history needs the sequencer's state, which needs the history."""

        def __getattr__(self, name: str) -> object:
            return getattr(holder["history"], name)

    async with running_shell(mongo_journal, history=Late(), limits=limits) as shell:  # type: ignore[arg-type]
        holder["history"] = MongoHistory(mongo_database, state=lambda: shell.state, now=shell.clock.now)
        await shell.deposit("ann", "USD", 100_000 * UNIT)
        first = await shell.send(buy_for("ann", COST, key="k", client_order_id="mine"))
        resting = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        assert resting.order is not None
        assert first.order is not None
        cancelled = await shell.send(cancel("ann", resting.order.order_id, key="c"))
        market = shell.state.markets[MARKET].market
        change = SetMarket(actor("operator"), replace(market, maker_fee_basis_points=7), "cheaper", 0, "s")
        changed = await shell.send(change)
        for _ in range(6):
            await shell.deposit("bob", "USD", UNIT)
        again = await shell.send(buy_for("ann", COST, key="k", client_order_id="mine"))
        assert again.replayed
        assert again.order == first.order
        by_its_id = await shell.send(buy_for("ann", COST, client_order_id="mine"))
        assert (by_its_id.replayed, by_its_id.order) == (True, first.order)
        for other in (
            buy_for("ann", COST, key="another", client_order_id="mine"),
            buy_for("ann", COST + UNIT, client_order_id="mine"),
        ):
            with pytest.raises(ClientOrderIdReused):
                await shell.send(other)
        cancelled_again = await shell.send(cancel("ann", resting.order.order_id, key="c"))
        assert cancelled_again.replayed
        assert cancelled_again.order == cancelled.order
        assert cancelled.order is not None
        assert cancelled.order.status is OrderStatus.CANCELLED
        changed_again = await shell.send(change)
        assert (changed_again.replayed, changed_again.batch) == (True, changed.batch)
        assert shell.state.order_number == 2
        # After 24 hours the key is free again.
        shell.clock.advance(90_000)
        shell.tick()
        fresh = await shell.send(buy_for("ann", COST, key="k"))
        assert not fresh.replayed
        assert MARKET in shell.state.markets
    folding.cancel()
    await asyncio.gather(folding, return_exceptions=True)
