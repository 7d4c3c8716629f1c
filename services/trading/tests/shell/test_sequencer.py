import asyncio

import pytest
from chassis.errors import ServiceError
from chassis.testing import eventually
from shell_factory import (
    MARKET,
    PRICE,
    UNIT,
    MemoryJournal,
    actor,
    buy_for,
    cancel,
    cancel_all,
    limit,
    replayed_hash,
    running_shell,
)
from trading.domain.accounts import Posting
from trading.domain.commands import Transfer
from trading.domain.errors import IdempotencyKeyReused, InsufficientFunds
from trading.domain.events import OrderPlaced, ReferencePriceSet
from trading.domain.evolve import EVOLVERS
from trading.domain.invariants import check_all
from trading.domain.markets import MarketStatus
from trading.domain.orders import OrderStatus, Side
from trading.domain.queries import balance
from trading.domain.snapshot import state_hash
from trading.domain.state import ExchangeState
from trading.journal.batch import SealedBatch
from trading.journal.codec import decode_body
from trading.journal.store import AppendOutcomeUnknown
from trading.sequencer import announcements
from trading.sequencer.errors import DeadlinePassed, OutcomeUnknown
from trading.sequencer.tickets import Committed

COST = 100_10 * UNIT // 100  # 100.10 USD


class SlowJournal(MemoryJournal):
    """Reads wait until `readable` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.readable = asyncio.Event()
        self.readable.set()

    async def read_after(self, number: int, limit: int) -> list[SealedBatch]:
        await self.readable.wait()
        return await super().read_after(number, limit)


async def test_an_order_is_answered_only_after_its_batch_is_durable() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        gate = asyncio.Event()

        async def slow(batch: SealedBatch) -> None:
            await gate.wait()
            journal.store(batch)

        journal.faults.append(slow)
        reply = shell.send(buy_for("ann", COST))
        await eventually(lambda: not journal.faults)
        read = asyncio.ensure_future(shell.sequencer.read(lambda state: state.batch_number))
        refused = shell.send(buy_for("ann", 10**4 * UNIT))
        await asyncio.sleep(0.02)
        assert not reply.done()
        assert not read.done()
        assert not refused.done()
        gate.set()
        outcome = await reply
        assert outcome.order is not None
        assert outcome.order.status is OrderStatus.FILLED
        assert outcome.batch in journal.batches
        assert await read == outcome.batch
        with pytest.raises(ServiceError, match="are needed"):
            await refused


async def test_listeners_hear_of_a_batch_while_the_next_one_is_appended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcements, "AFTER_SECONDS", 60.0)
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        told: list[int] = []
        shell.sequencer.on_batch(lambda batch: told.append(batch.number))
        first = await shell.deposit("ann", "USD", 1_000 * UNIT)
        assert first.batch not in told
        gate = asyncio.Event()

        async def slow(batch: SealedBatch) -> None:
            await gate.wait()
            journal.store(batch)

        journal.faults.append(slow)
        reply = shell.send(buy_for("ann", COST))
        await eventually(lambda: first.batch in told)
        assert not reply.done()
        gate.set()
        assert (await reply).batch not in told


async def test_twenty_parallel_orders_accept_exactly_the_affordable_ones() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        replies = await asyncio.gather(*(shell.send(buy_for("ann", COST)) for _ in range(20)), return_exceptions=True)
        accepted = [reply for reply in replies if isinstance(reply, Committed)]
        refused = [reply for reply in replies if isinstance(reply, ServiceError)]
        # What an order of 100.10 does not spend on whole lots comes back, but ten would need 1,001.
        assert len(accepted) == 9
        assert {error.reason for error in refused} == {"insufficient_funds"}
        assert check_all(shell.state) == []
        assert await replayed_hash(journal) == state_hash(shell.state)


async def test_a_hundred_parallel_orders_with_one_key_are_one_order() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        replies = await asyncio.gather(*(shell.send(buy_for("ann", COST, key="k")) for _ in range(100)))
        assert len({reply.order.order_id for reply in replies if reply.order is not None}) == 1
        assert sum(not reply.replayed for reply in replies) == 1
        first = next(reply for reply in replies if not reply.replayed)
        assert all(reply.order == first.order and reply.events == first.events for reply in replies)
        assert shell.state.order_number == 1
        with pytest.raises(IdempotencyKeyReused):
            await shell.send(buy_for("ann", COST + UNIT, key="k"))


async def test_parallel_cancels_release_a_hold_once() -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        assert placed.order is not None
        assert shell.balance("ann", "USD")[1] > 0
        commands = [cancel("ann", placed.order.order_id) for _ in range(10)] + [cancel_all("ann") for _ in range(3)]
        replies = await asyncio.gather(*(shell.send(command) for command in commands), return_exceptions=True)
        cancelled = [reply for reply in replies if isinstance(reply, Committed) and reply.order is not None]
        assert len(cancelled) == 1
        assert cancelled[0].order is not None
        assert cancelled[0].order.status is OrderStatus.CANCELLED
        assert shell.balance("ann", "USD") == (1_000 * UNIT, 0)


async def test_a_repeat_after_a_restart_gives_the_first_reply() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        first = await shell.send(buy_for("ann", COST, key="k"))
    async with running_shell(journal, writer="writer-b") as shell:
        again = await shell.send(buy_for("ann", COST, key="k"))
        assert again.replayed
        assert again.order == first.order
        assert list(again.events) == list(first.events)
        assert shell.state.order_number == 1


async def test_a_repeat_tells_the_balances_of_the_first_reply_though_money_has_moved_since() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        for user in ("ann", "bob"):
            await shell.deposit(user, "USD", 1_000 * UNIT)
        order = limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT, key="k")
        # All in one batch: its end is not what the order answered.
        first, _, _ = await asyncio.gather(
            shell.send(order), shell.send(buy_for("ann", COST)), shell.send(buy_for("bob", COST))
        )
        assert [first.balances[0].available, first.balances[1].held > 0] == [0, True]
        assert first.order is not None
        cancelling = cancel("ann", first.order.order_id, key="c")
        cancelled = await shell.send(cancelling)
        await shell.deposit("ann", "USD", UNIT)
        assert (await shell.send(order)).balances == first.balances
        assert (await shell.send(cancelling)).balances == cancelled.balances
    async with running_shell(journal, writer="writer-b") as shell:
        assert (await shell.send(order)).balances == first.balances


@pytest.mark.parametrize("fault", ["fail_before", "fail_after"])
async def test_an_append_without_an_answer_is_resolved_to_one_effect(fault: str) -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        journal.faults.append(getattr(journal, fault))
        reply = await shell.send(buy_for("ann", COST, key="k"))
        assert reply.order is not None
        assert not reply.replayed
        placed = [event for batch in journal.batches.values() for event in decode_body(batch.body).events]
        assert sum(type(event).__name__ == "OrderPlaced" for event in placed) == 1
        assert await replayed_hash(journal) == state_hash(shell.state)


async def test_an_append_that_lands_after_it_was_found_absent_has_one_effect() -> None:
    journal = MemoryJournal()
    under_way: list[SealedBatch] = []

    async def stay_under_way(batch: SealedBatch) -> None:
        under_way.append(batch)
        shell.clock.advance(0.001)  # decided again, the batch would be another one
        raise AppendOutcomeUnknown

    async def come_second(batch: SealedBatch) -> None:
        for first in under_way:
            journal.store(first)
        journal.store(batch)

    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        journal.faults += [stay_under_way, come_second]
        # Without a key that would mark a second one: the bytes alone make it the same.
        reply = await shell.send(buy_for("ann", COST))
        assert reply.batch == under_way[0].number
        placed = [event for batch in journal.batches.values() for event in decode_body(batch.body).events]
        assert sum(type(event).__name__ == "OrderPlaced" for event in placed) == 1
        assert await replayed_hash(journal) == state_hash(shell.state)


async def test_callers_past_their_deadline_hear_that_the_outcome_is_unknown() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        gate = asyncio.Event()

        async def lost(batch: SealedBatch) -> None:
            await gate.wait()
            await journal.fail_after(batch)

        journal.faults.append(lost)
        reply = shell.send(buy_for("ann", COST, key="k"), deadline_milliseconds=shell.now + 1_000)
        await eventually(lambda: not journal.faults)
        waiting = shell.send(buy_for("ann", COST, key="l"), deadline_milliseconds=shell.now + 1_000)
        shell.clock.advance(2)
        gate.set()
        with pytest.raises(OutcomeUnknown):
            await reply
        with pytest.raises(DeadlinePassed):
            await waiting
        shell.tick()
        again = await shell.send(buy_for("ann", COST, key="k"))
        assert again.replayed


async def test_a_refusal_leaves_only_when_what_it_rests_on_is_durable() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", COST)
        gate, under_way = asyncio.Event(), asyncio.Event()

        async def slow(batch: SealedBatch) -> None:
            under_way.set()
            await gate.wait()
            journal.store(batch)

        journal.faults.append(slow)
        # In one batch: the first has taken the money that the second lacks.
        first, second = shell.send(buy_for("ann", COST)), shell.send(buy_for("ann", COST))
        await under_way.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not second.done()
        gate.set()
        with pytest.raises(InsufficientFunds):
            await second
        await first


async def test_an_order_whose_deadline_passed_in_the_line_is_not_carried_out() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        gate = asyncio.Event()

        async def slow(batch: SealedBatch) -> None:
            await gate.wait()
            journal.store(batch)

        journal.faults.append(slow)
        first = shell.send(buy_for("ann", COST))
        await eventually(lambda: not journal.faults)
        late = shell.send(buy_for("ann", COST, key="late"), deadline_milliseconds=shell.now + 1_000)
        shell.clock.advance(2)
        gate.set()
        with pytest.raises(DeadlinePassed):
            await late
        spent = (await first).balances
        assert shell.balance("ann", "USD") == (spent[1].available, 0)
        shell.tick()
        assert not (await shell.send(buy_for("ann", COST, key="late"))).replayed


async def test_a_broken_core_stops_the_market_and_harms_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.deposit("bob", "USD", 1_000 * UNIT)
        resting = await shell.send(limit("bob", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        real = EVOLVERS[OrderPlaced]

        def breaks(state: ExchangeState, event: OrderPlaced) -> None:
            real(state, event)
            if event.idempotency_key == "poison":
                raise ZeroDivisionError

        monkeypatch.setitem(EVOLVERS, OrderPlaced, breaks)
        poison = shell.send(buy_for("ann", COST, key="poison"))
        bystander = shell.send(
            Transfer(actor(""), "by", "deposit", (Posting("external", "USD", -UNIT), Posting("user:eve", "USD", UNIT)))
        )
        with pytest.raises(Exception, match="core broken"):
            await poison
        assert (await bystander).transfer_id
        monkeypatch.setitem(EVOLVERS, OrderPlaced, real)
        assert shell.state.markets[MARKET].market.status is MarketStatus.CANCEL_ONLY
        assert shell.state.markets["ETH-USD"].market.status is MarketStatus.TRADING
        assert shell.balance("ann", "USD") == (1_000 * UNIT, 0)
        with pytest.raises(ServiceError, match="takes no new orders"):
            await shell.send(buy_for("ann", COST))
        assert resting.order is not None
        await shell.send(cancel("bob", resting.order.order_id))
        assert await replayed_hash(journal) == state_hash(shell.state)


async def test_whose_order_brought_the_price_that_broke_the_core_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What broke was not the order itself: it was out of the line, and on no list of the batch's commands."""
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        real = EVOLVERS[ReferencePriceSet]

        def breaks(state: ExchangeState, event: ReferencePriceSet) -> None:
            real(state, event)
            monkeypatch.setitem(EVOLVERS, ReferencePriceSet, real)
            raise ZeroDivisionError

        monkeypatch.setitem(EVOLVERS, ReferencePriceSet, breaks)
        order, behind = shell.send(buy_for("ann", COST)), shell.send(buy_for("ann", COST))
        for caller, told in ((order, "core broken"), (behind, "takes no new orders")):
            with pytest.raises(Exception, match=told):
                await asyncio.wait_for(caller, 5)
        assert shell.state.markets[MARKET].market.status is MarketStatus.CANCEL_ONLY


async def test_a_read_waits_while_memory_is_folded_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that broke the core left its half in memory: nobody may be told of it."""
    journal = SlowJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        real = EVOLVERS[OrderPlaced]

        def breaks(state: ExchangeState, event: OrderPlaced) -> None:
            real(state, event)
            if event.idempotency_key == "poison":
                raise ZeroDivisionError

        monkeypatch.setitem(EVOLVERS, OrderPlaced, breaks)
        journal.readable.clear()
        poison = shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 1_000 * UNIT, key="poison"))
        with pytest.raises(Exception, match="core broken"):
            await poison
        monkeypatch.setitem(EVOLVERS, OrderPlaced, real)
        assert shell.balance("ann", "USD")[1] > 0  # the half that never was
        read = asyncio.create_task(shell.sequencer.read(lambda state: balance(state, "ann", "USD")))
        await asyncio.sleep(0)
        assert not read.done()
        journal.readable.set()
        assert await read == ("USD", 1_000 * UNIT, 0)


async def test_refusals_and_reads_write_nothing() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", UNIT)
        before = journal.appends
        for _ in range(3):
            with pytest.raises(ServiceError):
                await shell.send(buy_for("ann", COST))
        await shell.sequencer.read(lambda state: state.batch_number)
        # A refusal may bring the reference price in with it, once.
        assert journal.appends - before <= 1
        await shell.deposit("ann", "USD", UNIT)
        assert await replayed_hash(journal) == state_hash(shell.state)


async def test_a_full_line_refuses_orders_but_still_takes_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_shell(MemoryJournal()) as shell:
        monkeypatch.setattr("trading.sequencer.waiting_line.WAITING_MAX", 2)
        replies = [shell.send(buy_for("ann", COST)) for _ in range(3)] + [shell.send(cancel_all("ann", "k"))]
        outcomes = await asyncio.gather(*replies, return_exceptions=True)
        assert [getattr(outcome, "reason", "done") for outcome in outcomes] == [
            "insufficient_funds", "insufficient_funds", "overloaded", "done",
        ]  # fmt: skip
