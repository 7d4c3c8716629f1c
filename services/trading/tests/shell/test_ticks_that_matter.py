"""Ticks stay in memory until an order needs one or one reaches an order."""

import asyncio

import pytest
from chassis.errors import ServiceError
from chassis.testing import eventually
from shell_factory import (
    PRICE,
    UNIT,
    MemoryJournal,
    buy_for,
    limit,
    replayed_hash,
    running_shell,
)
from trading.domain.orders import OrderStatus, Side
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits

COST = 100_10 * UNIT // 100  # 100.10 USD


async def test_a_stale_price_refuses_market_orders_until_the_stream_speaks_again() -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        shell.clock.advance(10)
        with pytest.raises(ServiceError) as refusal:
            await shell.send(buy_for("ann", COST))
        assert refusal.value.reason == "stale_price"
        shell.tick()
        assert (await shell.send(buy_for("ann", COST))).order is not None


async def test_a_tick_that_crosses_a_resting_order_fills_it_as_maker() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        assert placed.order is not None
        appends = journal.appends
        shell.tick(PRICE - 100 * UNIT)
        await asyncio.sleep(0.02)
        assert journal.appends == appends  # a tick that crosses nothing stays in the shell
        shell.tick(PRICE - 2_000 * UNIT)
        await eventually(lambda: shell.balance("ann", "BTC") == (UNIT // 100, 0))


async def test_while_the_source_is_silent_the_beats_of_its_stream_write_nothing() -> None:
    """The order would be crossed by a price that nobody may trade on: it rests, and the journal does not grow."""
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        shell.clock.advance(10)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE + 1_000 * UNIT))
        assert placed.order is not None
        assert placed.order.status is OrderStatus.OPEN
        appends = journal.appends
        for _ in range(5):
            shell.clock.advance(1)
            shell.prices.update({}, received_milliseconds=shell.time.now())
            await asyncio.sleep(0.02)
        assert journal.appends == appends
        shell.tick()
        await eventually(lambda: shell.balance("ann", "BTC") == (UNIT // 100, 0))


async def test_an_order_whose_price_crosses_many_others_waits_for_them_instead_of_being_refused() -> None:
    journal = MemoryJournal()
    async with running_shell(journal, limits=Limits(fills_per_command=1)) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.deposit("bob", "USD", 1_000 * UNIT)
        for _ in range(3):
            await shell.send(limit("bob", Side.BUY, UNIT // 1000, PRICE - 1_000 * UNIT))
        shell.tick(PRICE - 2_000 * UNIT)
        # As where the tick came with nobody to cross: it enters with the order.
        for symbol in shell.sequencer._crossings.markets:
            shell.sequencer._crossings.take(symbol)
        reply = await shell.send(buy_for("ann", COST))
        assert reply.order is not None
        assert reply.order.filled_quantity > 0
        assert shell.balance("bob", "BTC") == (3 * UNIT // 1000, 0)
        assert await replayed_hash(journal) == state_hash(shell.state)
