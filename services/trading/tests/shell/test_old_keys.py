"""Keys that left memory, by age or because there were too many: found in the projection, or nothing happens."""

import asyncio
from dataclasses import replace

import pytest
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
    cancel_all,
    limit,
    running_shell,
)
from trading.domain.commands import CancelAll, SetMarket, Transfer
from trading.domain.errors import IdempotencyKeyReused, OrderNotOpen
from trading.domain.events import NotCancelled
from trading.domain.exchange import Exchange
from trading.domain.keys import ORDER_KEY_SECONDS
from trading.domain.markets import Market, MarketStatus
from trading.domain.orders import Side
from trading.domain.snapshot import state_hash
from trading.domain.start_batch import keys_to_evict
from trading.domain.state import ExchangeState, Limits, RememberedKey, RememberedKeys
from trading.sequencer.bloom_filter import BITS_PER_KEY, LAYERS_MAX, LayeredFilter
from trading.sequencer.errors import DeadlinePassed, NotLeading
from trading.sequencer.old_keys import EvictedKeys
from trading.sequencer.ports import KeyedCommand
from trading.sequencer.recovery import recover

COST = 100_10 * UNIT // 100  # 100.10 USD
DAY_MILLISECONDS = 1000 * ORDER_KEY_SECONDS
SMALL = 1 << 10  # bits: 93 keys a layer


class SlowHistory(NoHistory):
    """Knows nothing, and says so when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def keys_of(self, command: KeyedCommand, *, up_to: int) -> RememberedKeys:
        known = await super().keys_of(command, up_to=up_to)
        await self.may_answer.wait()
        return known


async def test_a_repeat_after_its_key_left_memory_is_found_in_the_projection() -> None:
    journal, history = MemoryJournal(), NoHistory()
    async with running_shell(journal, history=history, limits=Limits(remembered_batches=3)) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        first = await shell.send(buy_for("ann", COST, key="k"))
        assert first.order is not None
        for _ in range(5):
            await shell.deposit("bob", "USD", UNIT)
        assert ("user:ann", "k") not in shell.state.keys.idempotency
        history.known.idempotency["user:ann", "k"] = RememberedKey(
            "place|BTC-USD|buy|market|ioc|0|10010000000|0|0|", first.batch, (first.order.order_id,), "", "k"
        )
        again = await shell.send(buy_for("ann", COST, key="k"))
        assert again.replayed
        assert again.order == first.order
        with pytest.raises(IdempotencyKeyReused):
            await shell.send(buy_for("ann", COST + UNIT, key="k"))
        assert shell.state.order_number == 1


async def test_what_a_user_sends_while_a_key_is_looked_up_stays_behind_it_and_others_go_on() -> None:
    history = SlowHistory()
    async with running_shell(MemoryJournal(), history=history, limits=Limits(remembered_batches=2)) as shell:
        for user in ("ann", "bob"):
            await shell.deposit(user, "USD", 2_000 * UNIT)
        await shell.send(buy_for("ann", COST, key="k"))
        for _ in range(4):
            await shell.deposit("cem", "USD", UNIT)
        low = PRICE - 1_000 * UNIT
        # As a new key looks that the filter takes for an old one, as it does one in 200.
        placing = shell.send(limit("ann", Side.BUY, UNIT // 100, low, key="k"))
        cancelling = shell.send(cancel_all("ann"))
        last = shell.send(limit("ann", Side.BUY, UNIT // 200, low))
        assert (await shell.send(limit("bob", Side.BUY, UNIT // 100, low))).order is not None
        assert not any(one.done() for one in (placing, cancelling, last))
        history.may_answer.set()
        placed, cancelled = await placing, await cancelling
        assert placed.order is not None
        assert cancelled.order_ids == (placed.order.order_id,)
        assert (await last).order is not None
        assert shell.balance("ann", "USD")[1] == shell.balance("bob", "USD")[1] // 2


async def test_who_waits_behind_a_look_up_is_told_when_it_fails_and_when_the_process_ends() -> None:
    history = SlowHistory()
    async with running_shell(MemoryJournal(), history=history, limits=Limits(remembered_batches=2)) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.send(buy_for("ann", COST, key="k"))
        for _ in range(4):
            await shell.deposit("bob", "USD", UNIT)
        history.known.idempotency["user:ann", "k"] = RememberedKey("another", 1, ("order",), "", "k")
        reused, behind = shell.send(buy_for("ann", COST, key="k")), shell.send(cancel_all("ann"))
        await eventually(lambda: history.questions == 1)
        history.may_answer.set()
        with pytest.raises(IdempotencyKeyReused):
            await reused
        assert (await behind).order_ids == ()
        history.may_answer.clear()
        shell.send(buy_for("ann", COST, key="k"))
        behind = shell.send(cancel_all("ann"))
        await eventually(lambda: history.questions == 2)
    with pytest.raises(NotLeading):
        await behind


async def test_a_projection_too_far_behind_lets_no_old_key_pass() -> None:
    history = NoHistory(cursor=0)
    async with running_shell(MemoryJournal(), history=history, limits=Limits(remembered_batches=2)) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await shell.send(buy_for("ann", COST, key="k"))
        for _ in range(4):
            await shell.deposit("bob", "USD", UNIT)
        retry = shell.send(buy_for("ann", COST, key="k"), deadline_milliseconds=shell.now + 1_000)
        await eventually(lambda: history.questions > 3)
        assert not retry.done()
        shell.clock.advance(2)
        with pytest.raises(DeadlinePassed):
            await retry
        assert shell.state.order_number == 1
        # A key that never was needs no question at all.
        shell.tick()
        asked = history.questions
        await shell.send(buy_for("ann", COST, key="fresh"))
        assert history.questions == asked


async def test_more_keys_than_memory_may_hold_leave_it_with_their_batches_the_oldest_first() -> None:
    async with running_shell(MemoryJournal(), limits=Limits(remembered_keys=5)) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        together = [shell.send(buy_for("ann", COST, key=f"together-{number}")) for number in range(4)]
        (batch,) = {reply.batch for reply in await asyncio.gather(*together)}
        for number in range(2):
            await shell.send(buy_for("ann", COST, key=f"alone-{number}"))
        assert {remembered[0] for remembered in shell.state.keys.by_age} == {batch, batch + 1, batch + 2}
        await shell.send(buy_for("ann", COST, key="last"))
        # Six keys were one too many, and of a batch all go or none.
        assert [key for _, key in shell.state.keys.idempotency] == ["alone-0", "alone-1", "last"]


async def test_a_key_that_was_crowded_out_waits_for_a_projection_that_has_its_batch() -> None:
    history = NoHistory(cursor=0)
    journal = MemoryJournal()
    async with running_shell(journal, history=history, limits=Limits(remembered_keys=2)) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        first = await shell.send(buy_for("ann", COST, key="k"))
        assert first.order is not None
        for number in range(3):
            await shell.send(buy_for("ann", COST, key=f"{number}"))
        assert ("user:ann", "k") not in shell.state.keys.idempotency
        # The batch before: by age alone this would do, and the key would have a second effect.
        history.at = first.batch - 1
        retry = shell.send(buy_for("ann", COST, key="k"))
        await eventually(lambda: history.questions > 2)
        assert not retry.done()
        history.known.idempotency["user:ann", "k"] = RememberedKey(
            "place|BTC-USD|buy|market|ioc|0|10010000000|0|0|", first.batch, (first.order.order_id,), "", "k"
        )
        history.at = first.batch
        again = await retry
        assert again.replayed
        assert again.order == first.order
        assert shell.state.order_number == 4


async def test_a_projection_that_ends_right_before_a_keys_batch_lets_it_not_pass() -> None:
    history = NoHistory(cursor=0)
    async with running_shell(MemoryJournal(), history=history, limits=Limits(remembered_keys=2)) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        for number in range(4):
            reply = await shell.send(buy_for("ann", COST, key=f"{number}"))
            if number == 1:
                newest_to_leave = reply.batch
        history.at = newest_to_leave - 1
        retry = shell.send(buy_for("ann", COST, key="1"), deadline_milliseconds=shell.now + 1_000)
        await eventually(lambda: history.questions > 2)
        assert ("user:ann", "1") not in shell.state.keys.idempotency
        assert ("user:ann", "2") in shell.state.keys.idempotency
        assert not retry.done()
        shell.clock.advance(2)
        with pytest.raises(DeadlinePassed):
            await retry
        assert shell.state.order_number == 4


async def test_a_batch_that_is_opened_twice_forgets_the_same_in_every_fold() -> None:
    """The first opening comes to nothing; memory has forgotten what crowded it all the same."""
    journal = MemoryJournal()
    limits = Limits(remembered_keys=1)
    async with running_shell(journal, limits=limits) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        await asyncio.gather(*(shell.send(buy_for("ann", COST, key=f"{number}")) for number in range(3)))
        with pytest.raises(OrderNotOpen):
            await shell.send(cancel("ann", "nothing"))
        await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        assert shell.state.keys.idempotency == {}
        folded = await recover(journal, limits)
        assert state_hash(folded.state) == state_hash(shell.state)
        assert folded.evicted_keys.content == shell.sequencer._memory.evicted_keys.content


async def test_on_a_quiet_exchange_a_key_is_free_after_a_day_though_memory_has_room_for_it() -> None:
    async with running_shell(MemoryJournal()) as shell:
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        first = await shell.send(buy_for("ann", COST, key="k", client_order_id="mine"))
        assert first.order is not None
        shell.clock.advance(ORDER_KEY_SECONDS - 60)
        shell.tick()
        again = await shell.send(buy_for("ann", COST, key="k", client_order_id="mine"))
        assert (again.replayed, again.order) == (True, first.order)
        with pytest.raises(IdempotencyKeyReused):
            # This also opens a batch that comes to nothing: the next command opens it again.
            await shell.send(buy_for("ann", COST + 1, key="k"))
        shell.clock.advance(61)
        shell.tick()
        other = await shell.send(buy_for("ann", COST + 1, key="k", client_order_id="mine"))
        assert not other.replayed
        assert other.order is not None
        assert other.order.order_id != first.order.order_id
        repeat = await shell.send(buy_for("ann", COST + 1, key="k", client_order_id="mine"))
        assert (repeat.replayed, repeat.order) == (True, other.order)
        await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        folded = await recover(shell.sequencer._journal, Limits())
        assert state_hash(folded.state) == state_hash(shell.state)


async def test_a_key_is_free_after_a_day_behind_any_number_of_others() -> None:
    """Keys of transfers and cancels do not say when they came, and many orders leave memory in portions."""
    async with running_shell(MemoryJournal()) as shell:
        for number in range(70):
            await shell.deposit(f"user-{number}", "USD", 1_000 * UNIT)
        await shell.deposit("ann", "USD", 10_000 * UNIT)
        first = await shell.send(buy_for("ann", COST, key="k", client_order_id="mine"))
        assert first.order is not None
        shell.clock.advance(ORDER_KEY_SECONDS - 1)
        shell.tick()
        assert (await shell.send(buy_for("ann", COST, key="k", client_order_id="mine"))).replayed
        shell.clock.advance(2)
        shell.tick()
        # All the same a client order id alone, and a key that comes with another kind of command.
        by_id = await shell.send(buy_for("ann", COST + 1, client_order_id="mine"))
        assert (by_id.replayed, by_id.order is not None) == (False, True)
        assert not (await shell.send(cancel_all("ann")._replace(idempotency_key="k"))).replayed
        with pytest.raises(IdempotencyKeyReused):
            await shell.send(buy_for("ann", COST, key="k"))
        await shell.send(buy_for("ann", COST, key="last"))
        folded = await recover(shell.sequencer._journal, Limits())
        assert state_hash(folded.state) == state_hash(shell.state)


async def test_the_repeat_of_a_cancel_of_all_names_what_stayed_open_then_wherever_its_batch_is() -> None:
    history = NoHistory()
    async with running_shell(MemoryJournal(), history=history, limits=Limits(remembered_batches=5)) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 100, PRICE - 1_000 * UNIT))
        assert placed.order is not None
        market = shell.state.markets[MARKET].market
        await shell.send(SetMarket(actor("operator"), replace(market, status=MarketStatus.HALTED), "incident"))
        everything = CancelAll(actor("ann"), idempotency_key="all")
        first = await shell.send(everything)
        stays = (NotCancelled(placed.order.order_id, MARKET, "market_halted"),)
        assert (first.order_ids, first.not_cancelled, first.replayed) == ((), stays, False)
        assert (await shell.send(CancelAll(actor("ann")))).not_cancelled == stays
        remembered = shell.state.keys.idempotency["user:ann", "all"]
        await shell.send(SetMarket(actor("operator"), market, "over"))
        assert (await shell.send(CancelAll(actor("ann")))).order_ids == (placed.order.order_id,)
        as_told = first._replace(replayed=True)
        assert (await shell.send(everything))._replace(time_milliseconds=first.time_milliseconds) == as_told
        # From the journal, and then by a key that only the projection knows.
        shell.sequencer._recent.clear()
        assert (await shell.send(everything)).not_cancelled == stays
        for _ in range(7):
            await shell.deposit("bob", "USD", UNIT)
        assert ("user:ann", "all") not in shell.state.keys.idempotency
        history.known.idempotency["user:ann", "all"] = remembered
        again = await shell.send(everything)
        assert (again.order_ids, again.not_cancelled, again.replayed) == ((), stays, True)


async def test_an_operators_change_whose_key_left_memory_is_not_made_again() -> None:
    history = NoHistory()
    async with running_shell(MemoryJournal(), history=history, limits=Limits(remembered_batches=2)) as shell:
        market = shell.state.markets[MARKET].market
        # It names no version: only its key says that it was made before.
        change = SetMarket(actor("operator"), replace(market, maker_fee_basis_points=7), "cheaper", 0, "key")
        first = await shell.send(change)
        remembered = shell.state.keys.idempotency["user:operator", "key"]
        await shell.send(SetMarket(actor("operator"), market, "back"))
        for _ in range(3):
            await shell.deposit("bob", "USD", UNIT)
        assert ("user:operator", "key") not in shell.state.keys.idempotency
        history.known.idempotency["user:operator", "key"] = remembered
        again = await shell.send(change)
        assert again.replayed
        assert again.batch == first.batch
        assert fees(shell.state.markets[MARKET].market) == fees(market)


def fees(market: Market) -> tuple[int, int]:
    return market.maker_fee_basis_points, market.taker_fee_basis_points


def test_a_filter_has_as_many_layers_as_it_needs_and_forgets_none_of_its_keys() -> None:
    filter_ = LayeredFilter(SMALL)
    keys = [f"key {number}" for number in range(5 * SMALL // BITS_PER_KEY)]
    for moment, key in enumerate(keys):
        filter_.add(key, moment)
    assert len(filter_.layers) == 5
    assert all(key in filter_ for key in keys)
    strangers = sum(f"stranger {number}" in filter_ for number in range(2_000))
    assert strangers < 2_000 // 10  # in one layer of that size all bits would be set


def test_a_filter_has_an_end_and_then_answers_perhaps_more_often() -> None:
    filter_ = LayeredFilter(SMALL)
    keys = [f"key {number}" for number in range((LAYERS_MAX + 4) * SMALL // BITS_PER_KEY)]
    for key in keys:
        filter_.add(key, 0)
    assert len(filter_.layers) == LAYERS_MAX
    assert all(key in filter_ for key in keys)


def exchange_with_keys(count: int) -> ExchangeState:
    """That many order keys and business keys in batch 1."""
    exchange = Exchange(limits=Limits(remembered_batches=1))
    state = exchange.state
    state.batch_number, state.batch_milliseconds = 1, 1_000
    for number in range(count):
        for kind, name in (("idempotency", ("user:ann", f"{number}")), ("business", ("", f"{number}"))):
            state.keys.by_age.append((1, kind, name))
    return state


def transfer(key: str) -> Transfer:
    return Transfer(actor("ann"), key, "deposit", ())


def test_order_keys_leave_the_filter_after_a_day_and_business_keys_never() -> None:
    state = exchange_with_keys(200)
    evicted = EvictedKeys(SMALL)
    evicted.before_batch(state, keys_to_evict(state, 2, state.batch_milliseconds))
    state.keys.by_age.clear()
    for after, known in ((0, True), (DAY_MILLISECONDS, True), (DAY_MILLISECONDS + 1, False)):
        state.batch_milliseconds = 1_000 + after
        evicted.before_batch(state, 1)
        for number in range(200):
            assert evicted.may_hold_a_key_of(state, transfer(f"{number}"))
            if known:
                assert evicted.may_hold_a_key_of(state, buy_for("ann", COST, key=f"{number}"))
        if not known:
            assert not any(evicted.may_hold_a_key_of(state, buy_for("ann", COST, key=f"{n}")) for n in range(200))


def test_the_filters_come_back_from_a_snapshot_as_they_were() -> None:
    state = exchange_with_keys(200)
    evicted = EvictedKeys(SMALL)
    evicted.before_batch(state, 1)
    restored = EvictedKeys.restored(evicted.content)
    assert restored.content == evicted.content
    assert restored.up_to == 1
    state.keys.by_age.clear()
    state.batch_milliseconds += DAY_MILLISECONDS + 1
    for keys in (restored, evicted):
        keys.before_batch(state, 7)
        assert keys.may_hold_a_key_of(state, transfer("17"))
        assert not keys.may_hold_a_key_of(state, buy_for("ann", COST, key="17"))
    assert restored.content == evicted.content


@pytest.mark.parametrize("damage", [lambda c: c[:-1], lambda c: c + b"x", lambda c: b"", lambda c: bytes(1 << 10)])
def test_what_is_no_filter_is_refused(damage: object) -> None:
    evicted = EvictedKeys(SMALL)
    evicted.before_batch(exchange_with_keys(3), 1)
    with pytest.raises(ValueError, match=r"filter|requires"):
        EvictedKeys.restored(damage(evicted.content))  # type: ignore[operator]  # one of the functions above
