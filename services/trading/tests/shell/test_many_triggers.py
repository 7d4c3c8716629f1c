"""One tick reaches very many waiting orders, or one moment ends them: bounded commands, bounded batches, and everybody
else goes on.
"""

import pytest
from chassis.testing import eventually
from shell_factory import MARKET, PRICE, UNIT, MemoryJournal, actor, buy_for, cancel, limit, running_shell
from trading.domain.accounts import Posting
from trading.domain.commands import Continue, ExpireOrders, PlaceOrder, SetReferencePrice, Transfer
from trading.domain.events import OrderClosed, OrderTriggered
from trading.domain.invariants import check_all
from trading.domain.orders import CloseReason, OrderStatus, OrderType, Side, TimeInForce
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.journal.codec import decode_body
from trading.sequencer.errors import DeadlinePassed
from trading.sequencer.memory import Memory
from trading.sequencer.open_batch import OpenBatch
from trading.sequencer.recovery import recover

ORDERS_PER_USER = 100
ORDERS_PER_BATCH = 200
BATCH_BYTES_MAX = 1 << 20
FALL = PRICE * 99 // 100  # below every stop price, within what the circuit breaker lets pass
ETH = "ETH-USD"


def grow(journal: MemoryJournal, memory: Memory, orders: int, *, expires_milliseconds: int = 0) -> None:
    """Appends stops that wait for the price to fall, made by the core itself."""
    lasting = TimeInForce.GTD if expires_milliseconds else TimeInForce.GTC
    users = [f"user-{number}" for number in range(orders // ORDERS_PER_USER)]
    coins = 10 * UNIT
    paid = [
        Transfer(
            actor(""), f"deposit:{user}", "deposit",
            (Posting("external", "BTC", -coins), Posting(f"user:{user}", "BTC", coins)),
        )
        for user in users
    ]  # fmt: skip
    placing = [
        PlaceOrder(
            actor(user), MARKET, Side.SELL, OrderType.STOP, lasting, quantity=UNIT // 1000,
            stop_price=PRICE - (100 + number) * UNIT, expires_milliseconds=expires_milliseconds,
        )
        for number in range(ORDERS_PER_USER)
        for user in users
    ]  # fmt: skip
    commands: list[Transfer | PlaceOrder] = [*paid, *placing]
    for first in range(0, len(commands), ORDERS_PER_BATCH):
        batch = OpenBatch(memory, memory.state.batch_milliseconds)
        if first == 0:
            now = batch.time_milliseconds
            batch.run(SetReferencePrice(MARKET, PRICE, "simulator", now, now))
        for command in commands[first : first + ORDERS_PER_BATCH]:
            batch.run(command)
        sealed = batch.seal(batch.finish(), epoch=memory.epoch, writer="grown")
        journal.store(sealed)
        memory.stand_at(sealed)


@pytest.mark.parametrize("orders", [3_000, pytest.param(50_000, marks=pytest.mark.long)])
async def test_one_tick_that_reaches_many_orders_triggers_them_all_and_refuses_nothing(orders: int) -> None:
    journal = MemoryJournal()
    async with running_shell(journal):
        pass
    memory = await recover(journal, Limits())
    grow(journal, memory, orders)
    assert len(memory.state.markets[MARKET].waiting_for_a_fall) == orders
    async with running_shell(journal, writer="writer-b") as shell:
        for user in ("eve", "fay"):
            await shell.deposit(user, "USD", 10_000 * UNIT)
        shell.tick(2_000 * UNIT, ETH)
        shell.tick()
        resting = await shell.send(limit("eve", Side.BUY, UNIT // 1000, PRICE - 4_000 * UNIT))
        assert resting.order is not None
        before = shell.state.batch_number
        shell.tick(2_000 * UNIT, ETH)
        shell.tick(FALL)
        waiting = shell.state.markets[MARKET].waiting_for_a_fall
        await eventually(lambda: 0 < len(waiting) < orders)
        # Who comes after the tick in that market waits until all are through, and so do the same user's later commands;
        # who trades elsewhere does not wait, nor does who cancels.
        here = shell.send(buy_for("fay", 100 * UNIT))
        fays = shell.send(buy_for("fay", 100 * UNIT)._replace(market=ETH))
        assert (await shell.send(buy_for("eve", 100 * UNIT)._replace(market=ETH))).order is not None
        assert (await shell.send(cancel("eve", resting.order.order_id))).order is not None
        late = shell.send(buy_for("gus", 100 * UNIT), deadline_milliseconds=shell.now + 1)
        shell.clock.advance(0.005)
        with pytest.raises(DeadlinePassed):
            await late  # told when its time is over, not when the market is through
        assert len(waiting) > 0
        assert not here.done()
        assert not fays.done()
        await eventually(lambda: len(waiting) == 0, 120)
        mine, others = await here, await fays
        assert mine.order is not None
        assert others.order is not None
        assert mine.order.created_milliseconds <= others.order.created_milliseconds
        assert check_all(shell.state) == []
        hash_of_state = state_hash(shell.state)
    drained = [journal.batches[number] for number in sorted(journal.batches) if number > before]
    assert max(len(batch.body) for batch in drained) <= BATCH_BYTES_MAX
    assert len(drained) > orders // 1_000
    entries = [entry for batch in drained for entry in decode_body(batch.body).entries]
    events = [event for entry in entries for event in entry.events]
    triggered = [event.order_id for event in events if isinstance(event, OrderTriggered)]
    # When the house has bought all that it may, nobody is left to sell to: their own reason, and never their number.
    rejected = [event for event in events if isinstance(event, OrderClosed) and event.status is OrderStatus.REJECTED]
    assert {event.reason for event in rejected} <= {CloseReason.NO_LIQUIDITY}
    reached = {*triggered, *(event.order_id for event in rejected)}
    assert len(reached) == len(triggered) + len(rejected) == orders
    assert sum(isinstance(entry.command, Continue) for entry in entries) >= orders
    assert max(len(entry.events) for entry in entries) < Limits().fills_per_command + 10
    assert state_hash((await recover(journal, Limits())).state) == hash_of_state


@pytest.mark.parametrize("orders", [5_000, pytest.param(50_000, marks=pytest.mark.long)])
async def test_one_moment_at_which_many_orders_expire_holds_up_their_market_alone(orders: int) -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        moment = shell.now + 60_000
    memory = await recover(journal, Limits())
    grow(journal, memory, orders, expires_milliseconds=moment)
    async with running_shell(journal, writer="writer-b") as shell:
        for user in ("eve", "fay"):
            await shell.deposit(user, "USD", 10_000 * UNIT)
        shell.clock.advance(60)
        shell.tick()
        shell.tick(2_000 * UNIT, ETH)
        before = shell.state.batch_number
        due = shell.state.markets[MARKET].expiries
        here = shell.send(buy_for("fay", 100 * UNIT))
        assert (await shell.send(buy_for("eve", 100 * UNIT)._replace(market=ETH))).order is not None
        assert 0 < len(due) < orders
        assert not here.done()
        assert (await here).order is not None
        assert len(due) == 0
        assert check_all(shell.state) == []
        hash_of_state = state_hash(shell.state)
    drained = [journal.batches[number] for number in sorted(journal.batches) if number > before]
    entries = [entry for batch in drained for entry in decode_body(batch.body).entries]
    closed = [event for entry in entries for event in entry.events if isinstance(event, OrderClosed)]
    assert [event.status for event in closed] == [OrderStatus.EXPIRED] * orders
    assert {entry.command for entry in entries if any(isinstance(event, OrderClosed) for event in entry.events)} == {
        ExpireOrders(MARKET)
    }
    assert state_hash((await recover(journal, Limits())).state) == hash_of_state
