"""One leader and what makes it stop: another's batch, a lease that is over, a clock that jumped."""

import asyncio
from datetime import timedelta

import pytest
from chassis.errors import ServiceError
from chassis.testing import FixedClock, eventually
from shell_factory import MARKET, UNIT, MemoryJournal, NoHistory, buy_for, cancel_all, limit, running_shell
from trading.domain.orders import OrderStatus, Side
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.journal.batch import SealedBatch
from trading.sequencer.errors import NotLeading
from trading.sequencer.journal_time import ClockTorn, JournalTime
from trading.sequencer.lease import LeaseLost
from trading.sequencer.reference_prices import ReferencePrices
from trading.sequencer.sequencer import Sequencer

COST = 100_10 * UNIT // 100


class JumpingClock(FixedClock):
    """Its wall clock can be set, as an operator or a time server does."""

    def jump(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


async def test_without_a_live_lease_nothing_is_told_from_memory() -> None:
    live = True
    async with running_shell(MemoryJournal(), may_lead=lambda: live) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        first = await shell.send(buy_for("ann", COST, key="k"))
        live = False
        with pytest.raises(NotLeading):
            await shell.sequencer.read(lambda state: state.batch_number)
        for from_memory in (buy_for("ann", 10**6 * UNIT), buy_for("ann", COST, key="k"), cancel_all("bob")):
            with pytest.raises(NotLeading):
                await shell.send(from_memory)
        live = True
        again = await shell.send(buy_for("ann", COST, key="k"))
        assert again.order == first.order


async def test_without_a_lease_an_order_is_decided_by_the_journal() -> None:
    live = True
    async with running_shell(MemoryJournal(), may_lead=lambda: live) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        live = False
        placed = await shell.send(buy_for("ann", COST))
        assert placed.order is not None
        assert placed.order.status is OrderStatus.FILLED


async def test_a_follower_has_what_the_leader_did_and_answers_nothing() -> None:
    journal = MemoryJournal()
    follower = Sequencer(
        journal=journal, history=NoHistory(), prices=ReferencePrices(), time=JournalTime(FixedClock()),
        may_lead=lambda: True, writer="follower", limits=Limits(),
    )  # fmt: skip
    await follower.recover()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await follower.follow()
        assert state_hash(follower.state) == state_hash(shell.state)
        await shell.send(buy_for("ann", COST))
        await follower.follow()
        assert state_hash(follower.state) == state_hash(shell.state)
        with pytest.raises(NotLeading):
            await follower.read(lambda state: state.batch_number)
        with pytest.raises(NotLeading):
            follower.must_lead()
        before = max(journal.batches)
        await follower.lead()
        assert max(journal.batches) == before + 1
        assert journal.batches[before + 1].epoch == journal.batches[before].epoch + 1


async def test_an_append_of_the_old_leader_that_lands_late_is_folded_before_the_new_one_serves() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as old:
        await old.deposit("ann", "USD", 1_000 * UNIT)
        held = asyncio.Event()
        landed: list[SealedBatch] = []

        async def held_back(batch: SealedBatch) -> None:
            await held.wait()
            journal.store(batch)
            landed.append(batch)

        journal.faults.append(held_back)
        order = old.send(buy_for("ann", COST, key="k"))
        await eventually(lambda: not journal.faults)
        real = journal.append

        async def overtaken(batch: SealedBatch) -> None:
            # The old append lands in the moment in which the new leader asks for the same number.
            held.set()
            await eventually(lambda: landed)
            await real(batch)

        journal.append = overtaken  # type: ignore[method-assign]
        async with running_shell(journal, writer="writer-b") as new:
            journal.append = real  # type: ignore[method-assign]
            outcome = await order
            assert outcome.order is not None  # it was first, so it counts, and the new leader knows it
            again = await new.send(buy_for("ann", COST, key="k"))
            assert again.replayed
            assert again.order == outcome.order
            assert new.state.order_number == 1
            with pytest.raises(NotLeading):
                await old.send(limit("ann", Side.BUY, UNIT // 100, 59_000 * UNIT))


async def test_whoever_loses_the_lease_while_taking_over_does_not_go_on() -> None:
    journal = MemoryJournal()
    with pytest.raises(LeaseLost):
        async with running_shell(journal, may_lead=lambda: False):
            pass
    assert journal.batches == {}


@pytest.mark.parametrize("seconds", [0.6, -0.6, 3600, -3600])
async def test_a_wall_clock_that_jumps_stops_the_leader_before_it_stamps_a_batch(seconds: float) -> None:
    journal, clock = MemoryJournal(), JumpingClock()
    async with running_shell(journal, clock=clock) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        before = max(journal.batches)
        clock.jump(seconds)
        with pytest.raises(NotLeading):
            await shell.deposit("ann", "USD", UNIT)
        with pytest.raises(ClockTorn):
            await shell.running
        assert max(journal.batches) == before


async def test_a_small_correction_of_the_clock_neither_stops_the_leader_nor_turns_time_back() -> None:
    journal, clock = MemoryJournal(), JumpingClock()
    async with running_shell(journal, clock=clock) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        clock.jump(-0.4)
        await shell.deposit("ann", "USD", UNIT)
        times = [batch.time_milliseconds for _, batch in sorted(journal.batches.items())]
        assert times == sorted(times)


async def test_prices_stay_fresh_after_a_clock_that_was_an_hour_ahead_in_the_life_before() -> None:
    journal, clock = MemoryJournal(), JumpingClock()
    clock.jump(3600)
    async with running_shell(journal, clock=clock) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        ahead = shell.state.batch_milliseconds
    clock.jump(-3600)
    async with running_shell(journal, clock=clock, writer="writer-b") as shell:
        for _ in range(3):
            clock.advance(1)
            shell.tick()
            placed = await shell.send(buy_for("ann", COST))
            assert placed.order is not None
            assert placed.order.status is OrderStatus.FILLED
        assert shell.state.batch_milliseconds == ahead + 3_000
        clock.advance(10)  # and they age as they should
        with pytest.raises(ServiceError) as refusal:
            await shell.send(buy_for("ann", COST))
        assert refusal.value.reason == "stale_price"
        assert MARKET in shell.state.markets
