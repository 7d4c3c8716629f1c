"""What the sequencer does of itself for orders that wait for a price or a moment, and for amendments."""

import asyncio
import time

from chassis.clock import SystemClock
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from shell_factory import (
    MARKET,
    PRICE,
    UNIT,
    MemoryJournal,
    NoHistory,
    actor,
    buy_for,
    cancel,
    limit,
    running_shell,
)
from trading.domain.commands import AmendOrder, Continue, ExpireOrders, PlaceOrder, SetReferencePrice
from trading.domain.orders import OrderStatus, OrderType, Side, TimeInForce
from trading.domain.state import Limits
from trading.journal.codec import decode_body
from trading.projector.projector import Projector
from trading.sequencer.clockwork import Clockwork
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.reference_prices import ReferencePrices, Tick
from trading.sequencer.sequencer import Sequencer
from trading.storage.documents import OrderDocument
from trading.storage.history import MongoHistory
from trading.storage.journal import MongoJournal
from trading.storage.projection import Projection


def stop(user: str, side: Side, quantity: int, stop_price: int) -> PlaceOrder:
    return PlaceOrder(
        actor(user), MARKET, side, OrderType.STOP, TimeInForce.GTC, quantity=quantity, stop_price=stop_price
    )


def commands_of(journal: MemoryJournal) -> list[type]:
    return [type(entry.command) for batch in journal.batches.values() for entry in decode_body(batch.body).entries]


async def test_a_tick_that_reaches_a_stop_price_triggers_though_the_next_one_does_not() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        placed = await shell.send(stop("ann", Side.BUY, UNIT // 100, PRICE + 300 * UNIT))
        assert placed.order is not None
        assert placed.order.status is OrderStatus.NEW
        shell.tick(PRICE + 100 * UNIT)
        # Both before the sequencer comes to look.
        shell.tick(PRICE + 300 * UNIT)
        shell.tick(PRICE + 100 * UNIT)
        await eventually(lambda: shell.balance("ann", "BTC") == (UNIT // 100, 0))
        assert shell.balance("ann", "USD")[1] == 0
        entered = [kind for kind in commands_of(journal) if kind in {SetReferencePrice, Continue}]
        # One price for the placing, one that reached; those that reached nothing are not there.
        assert entered == [SetReferencePrice, SetReferencePrice, Continue, Continue]


async def test_of_two_ticks_that_reach_different_orders_both_count() -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        await shell.deposit("bob", "BTC", UNIT)
        await shell.send(stop("ann", Side.BUY, UNIT // 100, PRICE + 300 * UNIT))
        await shell.send(stop("bob", Side.SELL, UNIT // 100, PRICE - 300 * UNIT))
        # Both before the sequencer comes to look.
        shell.tick(PRICE + 300 * UNIT)
        shell.tick(PRICE - 300 * UNIT)
        await eventually(lambda: not shell.state.orders)
        assert shell.balance("ann", "BTC") == (UNIT // 100, 0)
        assert shell.balance("bob", "BTC") == (UNIT - UNIT // 100, 0)


async def test_a_price_that_moved_while_nobody_led_triggers_when_somebody_does() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        await shell.send(stop("ann", Side.BUY, UNIT // 100, PRICE + 300 * UNIT))
    prices = ReferencePrices()
    sequencer = Sequencer(
        journal=journal,
        history=NoHistory(),
        prices=prices,
        time=JournalTime(shell.clock),
        may_lead=lambda: True,
        writer="b",
        limits=Limits(),
    )
    prices.update({MARKET: Tick(PRICE + 400 * UNIT, "simulator", shell.now)}, received_milliseconds=shell.now)
    await sequencer.lead()
    running = asyncio.create_task(sequencer.run())
    await eventually(lambda: not sequencer.state.orders)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_order_expires_at_its_moment_though_nothing_else_happens() -> None:
    journal, prices, clock = MemoryJournal(), ReferencePrices(), SystemClock()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
    sequencer = Sequencer(
        journal=journal,
        history=NoHistory(),
        prices=prices,
        time=JournalTime(clock),
        may_lead=lambda: True,
        writer="b",
        limits=Limits(),
    )
    await sequencer.lead()
    running = asyncio.create_task(sequencer.run())
    ticking = asyncio.create_task(Clockwork(sequencer).run())
    now = int(time.time() * 1000)
    prices.update({MARKET: Tick(PRICE, "simulator", now)}, received_milliseconds=now)
    shell.sequencer = sequencer
    until = now + 400
    await shell.send(
        limit("ann", Side.BUY, UNIT // 100, PRICE - 500 * UNIT)._replace(
            time_in_force=TimeInForce.GTD, expires_milliseconds=until
        )
    )
    assert sequencer.state.orders
    await eventually(lambda: not sequencer.state.orders)
    assert sequencer.state.batch_milliseconds >= until
    assert commands_of(journal)[-1] is ExpireOrders
    assert shell.balance("ann", "USD") == (10_000 * UNIT, 0)
    running.cancel()
    ticking.cancel()
    await asyncio.gather(running, ticking, return_exceptions=True)


async def test_an_expiry_comes_before_whatever_arrives_at_its_moment() -> None:
    async with running_shell(MemoryJournal()) as shell:
        for user in ("ann", "bob"):
            await shell.deposit(user, "USD", 10_000 * UNIT)
        await shell.send(buy_for("bob", 1_000 * UNIT))
        order = await shell.send(
            limit("ann", Side.BUY, UNIT // 1000, PRICE)._replace(
                time_in_force=TimeInForce.GTD, expires_milliseconds=shell.now + 1_000
            )
        )
        assert order.order is not None
        shell.clock.advance(1)
        sold = await shell.send(limit("bob", Side.SELL, UNIT // 1000, PRICE))
        assert sold.order is not None
        assert sold.order.filled_quantity == 0
        assert order.order.order_id not in shell.state.orders


def amend(user: str, order_id: str, quantity: int, key: str = "") -> AmendOrder:
    return AmendOrder(actor(user), order_id, quantity=quantity, idempotency_key=key)


async def test_a_repeated_amendment_answers_what_the_first_did_though_more_happened_since() -> None:
    async with running_shell(MemoryJournal()) as shell:
        for user in ("ann", "bob"):
            await shell.deposit(user, "USD", 10_000 * UNIT)
        await shell.send(buy_for("bob", 1_000 * UNIT))
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE))
        assert placed.order is not None
        order_id = placed.order.order_id
        command = amend("ann", order_id, UNIT // 200, "k")
        # All of it in one batch: the batch's end is not what the amendment answered.
        first, second, sold = await asyncio.gather(
            shell.send(command),
            shell.send(amend("ann", order_id, UNIT // 250)),
            shell.send(limit("bob", Side.SELL, UNIT // 1000, PRICE)),
        )
        assert first.batch == second.batch == sold.batch
        again = await shell.send(command)
        assert again.replayed
        assert again.order == first.order
        await shell.send(cancel("ann", order_id))
        assert (await shell.send(command)).order == first.order


async def test_repeated_amendments_and_cancels_are_answered_from_rows_and_journal_after_a_restart(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_shell(mongo_journal) as shell:
        for user in ("ann", "bob"):
            await shell.deposit(user, "USD", 10_000 * UNIT)
        await shell.send(buy_for("bob", 1_000 * UNIT))
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE))
        assert placed.order is not None
        order_id = placed.order.order_id
        await shell.send(limit("bob", Side.SELL, UNIT // 1000, PRICE))
        amending, cancelling = amend("ann", order_id, UNIT // 200, "k"), cancel("ann", order_id, key="c")
        amended = await shell.send(amending)
        await shell.send(amend("ann", order_id, UNIT // 250))
        await shell.send(limit("bob", Side.SELL, UNIT // 1000, PRICE))
        cancelled = await shell.send(cancelling)
        waiting = await shell.send(stop("ann", Side.BUY, UNIT // 1000, 2 * PRICE))
        assert waiting.order is not None
        no_longer = cancel("ann", waiting.order.order_id, key="w")
        last = await shell.send(no_longer)
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    projecting = asyncio.create_task(projector.run())
    assert await projector.stored(last.batch, 10)
    projecting.cancel()
    await asyncio.gather(projecting, return_exceptions=True)
    row = await OrderDocument.get(order_id)
    assert row is not None
    assert [part.amount_before for part in row.amendments] != []
    history = MongoHistory(mongo_database, state=lambda: projector.fold.state, now=shell.clock.now)
    async with running_shell(mongo_journal, history=history, writer="b") as shell:
        for command, first in ((amending, amended), (cancelling, cancelled), (no_longer, last)):
            assert first.order is not None
            again = await shell.send(command)
            assert again.replayed
            assert (again.order, again.balances) == (first.order, first.balances)
