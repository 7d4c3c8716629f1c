from dataclasses import replace

import pytest
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, units
from trading.domain.commands import CancelAll, CancelOrder, Continue, PlaceOrder, SetMarket
from trading.domain.errors import FillOrKillUnfilled, MarketDraining
from trading.domain.events import Event, OrderClosed, OrderRested, Traded, WorkFinished, WorkPostponed
from trading.domain.markets import MarketStatus
from trading.domain.orders import CloseReason, Side, TimeInForce
from trading.domain.queries import markets_to_continue
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot
from trading.domain.state import Limits

USERS = ("alice", "bob", "carol")


def bench_with(fills_per_command: int) -> Bench:
    bench = Bench(limits=Limits(fills_per_command=fills_per_command), users=USERS)
    bench.reference("100")
    for user in ("bob", "carol", "bob", "carol", "bob"):
        bench.done(bench.limit(user, Side.SELL, "1", "100"))
    return bench


def drain(bench: Bench) -> list[Event]:
    events: list[Event] = []
    while markets_to_continue(bench.exchange.state):
        step = bench.done(Continue("COIN-USD"))
        # Each step is bounded, and a restart between steps changes nothing.
        assert (
            len([event for event in step if isinstance(event, Traded)]) <= bench.exchange.state.limits.fills_per_command
        )
        state = bench.exchange.state
        restored = restore_snapshot(take_snapshot(state), state.limits)
        assert state_hash(restored) == state_hash(state)
        assert markets_to_continue(restored) == markets_to_continue(state)
        events += step
    return events


def commands(bench: Bench) -> list[PlaceOrder]:
    return [
        bench.limit("alice", Side.BUY, "4.5", "100"),
        bench.limit("alice", Side.BUY, "7", "100.1"),
        bench.limit("alice", Side.BUY, "7", "100", time_in_force=TimeInForce.IOC),
        bench.market("alice", Side.BUY, quantity=units("8")),
        bench.market("alice", Side.BUY, quantity=units("30")),
        bench.market("alice", Side.BUY, quote_quantity=units("777.77")),
        bench.limit("bob", Side.BUY, "7", "100"),
    ]


@pytest.mark.parametrize("which", range(7))
@pytest.mark.parametrize("fills_per_command", [1, 2, 3])
def test_postponed_work_ends_as_if_done_at_once(which: int, fills_per_command: int) -> None:
    at_once, in_steps = bench_with(500), bench_with(fills_per_command)
    at_once.done(commands(at_once)[which])
    in_steps.done(commands(in_steps)[which])
    drain(in_steps)
    for user in USERS:
        assert in_steps.money(user, "USD") == at_once.money(user, "USD")
        assert in_steps.money(user, "COIN") == at_once.money(user, "COIN")
    assert in_steps.exchange.state.orders.keys() == at_once.exchange.state.orders.keys()
    trades = [
        [
            (trade.price, trade.quantity, trade.buyer.fee, trade.seller.owner)
            for trade in bench.events
            if isinstance(trade, Traded)
        ]
        for bench in (at_once, in_steps)
    ]
    assert trades[0] == trades[1]


def test_a_sell_by_quote_quantity_holds_enough_for_its_postponed_rest() -> None:
    bench = Bench(limits=Limits(fills_per_command=1), users=USERS)
    bench.reference("100")
    bench.done(bench.market("alice", Side.SELL, quote_quantity=units("550")))
    assert bench.money("alice", "COIN")[1] > 3 * UNIT
    drain(bench)
    assert bench.money("alice", "COIN")[1] == 0


def test_what_a_reference_crosses_is_also_done_in_bounded_steps() -> None:
    bench = Bench(limits=Limits(fills_per_command=2), users=USERS)
    bench.reference("100")
    for user in ("alice", "bob", "carol", "alice", "bob"):
        bench.done(bench.limit(user, Side.BUY, "0.5", "99"))
    events = bench.reference("97")
    assert isinstance(events[-1], WorkPostponed)
    rest = drain(bench)
    assert len([event for event in events + rest if isinstance(event, Traded)]) == 5
    assert isinstance(rest[-1], WorkFinished)


def test_until_it_is_drained_the_market_takes_no_orders_and_no_prices() -> None:
    bench = bench_with(1)
    bench.done(bench.market("alice", Side.BUY, quantity=3 * UNIT))
    with pytest.raises(MarketDraining):
        bench.do(bench.limit("bob", Side.BUY, "1", "99"))
    with pytest.raises(MarketDraining):
        bench.reference("100")
    drain(bench)
    assert bench.done(bench.limit("bob", Side.BUY, "1", "99"))


def test_an_order_can_be_cancelled_while_the_rest_of_its_taking_is_postponed() -> None:
    bench = bench_with(1)
    placed = bench.done(bench.limit("alice", Side.BUY, "3", "100"))[0]
    bench.done(CancelOrder(actor("alice"), placed.order_id))  # type: ignore[union-attr]
    assert bench.money("alice", "USD")[1] == 0
    assert [type(event) for event in drain(bench)] == [WorkFinished]


def test_makers_may_leave_before_the_postponed_rest_reaches_them() -> None:
    bench = bench_with(1)
    bench.done(bench.limit("alice", Side.BUY, "9", "100"))
    bench.done(CancelAll(actor("carol")))
    events = drain(bench)
    assert not any(isinstance(event, Traded) and event.seller.owner == "user:carol" for event in events)
    assert isinstance(events[-2], OrderRested)


@pytest.mark.parametrize("status", [MarketStatus.CANCEL_ONLY, MarketStatus.HALTED])
def test_an_order_that_still_takes_when_its_market_is_stopped_takes_no_more(status: MarketStatus) -> None:
    bench = bench_with(1)
    bench.done(bench.limit("alice", Side.BUY, "3", "100"))
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, status=status), "the source is wrong"))
    closed, finished = drain(bench)
    assert isinstance(closed, OrderClosed)
    assert closed.reason is CloseReason.MARKET_CLOSED
    assert isinstance(finished, WorkFinished)
    assert (bench.money("alice", "COIN")[0], bench.money("alice", "USD")[1]) == (101 * UNIT, 0)


def test_a_stale_price_keeps_the_house_out_of_the_postponed_rest() -> None:
    bench = bench_with(4)
    bench.done(bench.market("alice", Side.BUY, quantity=9 * UNIT))
    bench.batch(3_001)
    events = drain(bench)
    assert [type(event) for event in events] == [Traded, OrderClosed, WorkFinished]


def test_fill_or_kill_beyond_the_bound_is_refused_rather_than_left_half_done() -> None:
    bench = bench_with(2)
    with pytest.raises(FillOrKillUnfilled) as refusal:
        bench.do(bench.limit("alice", Side.BUY, "3", "100", time_in_force=TimeInForce.FOK))
    # The book has five: it is the order that takes no more.
    assert refusal.value.details["fills_max"] == "2"
    assert "at most 2 fills" in refusal.value.message
    with pytest.raises(FillOrKillUnfilled) as refusal:
        bench.do(bench.market("alice", Side.BUY, quote_quantity=300 * UNIT, time_in_force=TimeInForce.FOK))
    assert (refusal.value.details["limit"], refusal.value.details["fills_max"]) == ("200.4", "2")
    assert bench.done(bench.limit("alice", Side.BUY, "2", "100", time_in_force=TimeInForce.FOK))


def test_continue_without_postponed_work_writes_nothing() -> None:
    bench = bench_with(1)
    assert bench.done(Continue("COIN-USD")) == []
