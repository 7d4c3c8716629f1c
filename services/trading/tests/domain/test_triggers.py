from dataclasses import replace

import pytest
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, trades, units
from trading.domain.commands import CancelAll, CancelOrder, Continue, PlaceOrder, SetMarket, SetReferencePrice
from trading.domain.errors import InvalidOrder, InvalidTick, OutsidePriceBand, Rejection, StopPriceReached
from trading.domain.events import Event, OrderClosed, OrderPlaced, OrderTriggered, Traded, WorkFinished
from trading.domain.markets import MarketStatus
from trading.domain.orders import CloseReason, OrderStatus, OrderType, Side, TimeInForce
from trading.domain.queries import markets_to_continue
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot
from trading.domain.state import Limits


@pytest.fixture
def bench() -> Bench:
    bench = Bench(users=("alice", "bob", "carol"))
    bench.reference("100")
    return bench


def trigger(user: str, kind: OrderType, side: Side, stop_price: str, **more: object) -> PlaceOrder:
    values = {"quantity": UNIT, "time_in_force": TimeInForce.GTC, **more}
    return PlaceOrder(
        actor=actor(user), market="COIN-USD", side=side, order_type=kind, stop_price=units(stop_price),
        **values,  # type: ignore[arg-type]
    )  # fmt: skip


def placed(bench: Bench, command: PlaceOrder) -> str:
    (event,) = bench.done(command)
    assert isinstance(event, OrderPlaced)
    return event.order_id


def drain(bench: Bench) -> list[Event]:
    events: list[Event] = []
    while markets_to_continue(bench.exchange.state):
        step = bench.done(Continue("COIN-USD"))
        assert len([event for event in step if isinstance(event, OrderTriggered)]) <= 1
        limits = bench.exchange.state.limits
        assert state_hash(restore_snapshot(take_snapshot(bench.exchange.state), limits)) == state_hash(
            bench.exchange.state
        )
        events += step
    return events


def move(bench: Bench, price: str) -> list[Event]:
    return [*bench.reference(price), *drain(bench)]


def triggered(events: list[Event]) -> list[str]:
    return [event.order_id for event in events if isinstance(event, OrderTriggered)]


@pytest.mark.parametrize(
    ("kind", "side", "stop_price", "before", "reaches"),
    [
        (OrderType.STOP, Side.SELL, "95", "95.1", "95"),
        (OrderType.STOP, Side.SELL, "95", "95.1", "94.3"),
        (OrderType.STOP, Side.BUY, "105", "104.9", "105"),
        (OrderType.STOP, Side.BUY, "105", "104.9", "105.2"),
        (OrderType.TAKE_PROFIT, Side.SELL, "105", "104.9", "105"),
        (OrderType.TAKE_PROFIT, Side.BUY, "95", "95.1", "94.9"),
    ],
)
def test_an_order_waits_until_the_reference_reaches_its_stop_price(
    bench: Bench, *, kind: OrderType, side: Side, stop_price: str, before: str, reaches: str
) -> None:
    order_id = placed(bench, trigger("alice", kind, side, stop_price))
    assert bench.exchange.state.orders[order_id].status is OrderStatus.NEW
    assert not drain(bench)
    assert not triggered(move(bench, before))
    events = move(bench, reaches)
    assert triggered(events) == [order_id]
    (trade,) = trades(events)
    assert trade.quantity == UNIT
    assert (trade.seller if side is Side.SELL else trade.buyer).status is OrderStatus.FILLED
    assert bench.money("alice", "COIN")[1] == bench.money("alice", "USD")[1] == 0


def test_a_stop_limit_rests_behind_those_that_are_there_already(bench: Bench) -> None:
    stop_limit = placed(bench, trigger("alice", OrderType.STOP_LIMIT, Side.BUY, "105", price=units("104")))
    move(bench, "104")
    other = placed(bench, bench.limit("bob", Side.BUY, "1", "104"))
    assert triggered(move(bench, "105")) == [stop_limit]
    assert [order.order_id for order in bench.exchange.state.markets["COIN-USD"].bids.orders()] == [other, stop_limit]
    assert bench.exchange.state.orders[stop_limit].status is OrderStatus.OPEN


def test_orders_are_triggered_by_price_then_age_each_meeting_what_the_last_one_left(bench: Bench) -> None:
    far = placed(bench, trigger("alice", OrderType.STOP, Side.SELL, "94"))
    near = placed(bench, trigger("bob", OrderType.STOP, Side.SELL, "96", quantity=2 * UNIT))
    near_younger = placed(bench, trigger("carol", OrderType.STOP, Side.SELL, "96"))
    beyond = placed(bench, trigger("carol", OrderType.STOP, Side.SELL, "93"))
    events = move(bench, "93.5")
    assert triggered(events) == [near, near_younger, far]
    # The house bids 2 coins a level, so that the first takes the best level and the others the next.
    assert [trade.price for trade in trades(events)] == [units("93.3"), units("93.1"), units("93.1")]
    assert bench.exchange.state.orders[beyond].status is OrderStatus.NEW


def test_one_command_triggers_one_order_and_the_market_takes_no_other_until_all_are_done(bench: Bench) -> None:
    orders = [placed(bench, trigger(user, OrderType.STOP, Side.SELL, "96")) for user in ("alice", "bob", "carol")]
    bench.reference("95")
    with pytest.raises(Rejection) as caught:
        bench.do(bench.limit("bob", Side.BUY, "1", "95"))
    assert caught.value.reason == "market_draining"
    steps = [triggered(bench.done(Continue("COIN-USD"))) for _ in orders]
    assert steps == [[order_id] for order_id in orders]
    assert bench.done(Continue("COIN-USD")) == [WorkFinished("COIN-USD")]
    assert bench.done(Continue("COIN-USD")) == []


def test_a_triggered_order_that_meets_too_many_goes_on_by_continue() -> None:
    bench = Bench(limits=Limits(fills_per_command=2), users=("alice", "bob", "carol"))
    bench.reference("100")
    stops = [
        placed(bench, trigger(user, OrderType.STOP, Side.SELL, "97", quantity=4 * UNIT)) for user in ("bob", "carol")
    ]
    for price in ("96.9", "96.8", "96.7", "96.6", "96.5", "96.4"):
        placed(bench, bench.limit("alice", Side.BUY, "1", price))
    events = move(bench, "96.95")
    assert triggered(events) == stops
    assert [trade.price for trade in trades(events)] == [
        units(price) for price in ("96.9", "96.8", "96.7", "96.7", "96.7", "96.6", "96.5", "96.5")
    ]


def test_a_stop_price_that_is_reached_already_is_refused_with_the_next_that_would_wait(bench: Bench) -> None:
    bench.reference("100.05")
    for kind, side, given, nearest in (
        (OrderType.STOP, Side.SELL, "100.1", "100"),
        (OrderType.STOP, Side.BUY, "100", "100.1"),
        (OrderType.TAKE_PROFIT, Side.BUY, "100.1", "100"),
        (OrderType.TAKE_PROFIT, Side.SELL, "99", "100.1"),
    ):
        with pytest.raises(StopPriceReached) as caught:
            bench.do(trigger("alice", kind, side, given))
        assert (caught.value.details["limit"], caught.value.details["nearest"]) == ("100.05", nearest)
        placed(bench, trigger("alice", kind, side, nearest))


@pytest.mark.parametrize(
    ("kind", "side", "nearest"),
    [
        (OrderType.STOP, Side.SELL, "99.9"),
        (OrderType.STOP, Side.BUY, "100.1"),
        (OrderType.TAKE_PROFIT, Side.BUY, "99.9"),
        (OrderType.TAKE_PROFIT, Side.SELL, "100.1"),
    ],
)
def test_a_stop_price_is_reached_by_exactly_that_price(bench: Bench, kind: OrderType, side: Side, nearest: str) -> None:
    bench.reference("100")
    with pytest.raises(StopPriceReached) as caught:
        bench.do(trigger("alice", kind, side, "100"))
    assert caught.value.details["nearest"] == nearest
    waiting = placed(bench, trigger("alice", kind, side, nearest))
    assert triggered(move(bench, nearest)) == [waiting]


@pytest.mark.parametrize(
    ("command", "asset", "held"),
    [
        (trigger("alice", OrderType.STOP, Side.SELL, "95", quantity=3 * UNIT), "COIN", "3"),
        (trigger("alice", OrderType.TAKE_PROFIT, Side.SELL, "105"), "COIN", "1"),
        # The stop price and the slippage cap of 2 %, and the taker's fee of 0.2 %.
        (trigger("alice", OrderType.STOP, Side.BUY, "105"), "USD", "107.3142"),
        (trigger("alice", OrderType.TAKE_PROFIT, Side.BUY, "95"), "USD", "97.0938"),
        (trigger("alice", OrderType.STOP, Side.BUY, "105", quantity=0, quote_quantity=50 * UNIT), "USD", "50"),
        (trigger("alice", OrderType.STOP_LIMIT, Side.BUY, "105", price=units("106")), "USD", "106.212"),
        (trigger("alice", OrderType.STOP_LIMIT, Side.SELL, "95", price=units("94")), "COIN", "1"),
    ],
)
def test_what_a_waiting_order_may_cost_is_held_and_given_back_exactly(
    bench: Bench, command: PlaceOrder, asset: str, held: str
) -> None:
    before = bench.money("alice", asset)
    order_id = placed(bench, command)
    assert bench.money("alice", asset) == (before[0] - units(held), units(held))
    bench.done(CancelOrder(actor("alice"), order_id))
    assert bench.money("alice", asset) == before


def test_a_stop_buy_never_costs_more_than_was_held_for_it(bench: Bench) -> None:
    placed(bench, trigger("alice", OrderType.STOP, Side.BUY, "105"))
    available, held = bench.money("alice", "USD")
    (trade,) = trades(move(bench, "106.5"))
    assert trade.price == units("106.8")
    assert bench.money("alice", "USD") == (available + held - units("106.8") - units("0.2136"), 0)


def test_a_stop_buy_that_the_price_has_jumped_over_is_rejected_and_its_hold_given_back(bench: Bench) -> None:
    before = bench.money("alice", "USD")
    order_id = placed(bench, trigger("alice", OrderType.STOP, Side.BUY, "105"))
    (closed,) = [event for event in move(bench, "109") if isinstance(event, OrderClosed)]
    assert (closed.order_id, closed.status, closed.reason) == (
        order_id, OrderStatus.REJECTED, CloseReason.NO_LIQUIDITY,
    )  # fmt: skip
    assert bench.money("alice", "USD") == before


def test_a_stop_buy_by_quote_amount_and_a_stop_sell_follow_the_price_over_a_jump(bench: Bench) -> None:
    placed(bench, trigger("alice", OrderType.STOP, Side.BUY, "105", quantity=0, quote_quantity=50 * UNIT))
    placed(bench, trigger("bob", OrderType.STOP, Side.SELL, "95"))
    assert [trade.price for trade in trades(move(bench, "109"))] == [units("109.3")]
    assert [trade.price for trade in trades(move(bench, "91"))] == [units("90.8")]


@pytest.mark.parametrize(
    ("more", "reference", "reason"),
    [
        ({"price": units("104")}, "116", CloseReason.PRICE_BAND),
        ({"price": units("106"), "post_only": True}, "105", CloseReason.POST_ONLY_WOULD_TAKE),
        ({"price": units("104"), "time_in_force": TimeInForce.FOK}, "105", CloseReason.FILL_OR_KILL_UNFILLED),
    ],
)
def test_what_a_rule_refuses_at_the_trigger_ends_rejected_with_that_rule(
    bench: Bench, more: dict[str, object], reference: str, reason: CloseReason
) -> None:
    before = bench.money("alice", "USD")
    placed(bench, trigger("alice", OrderType.STOP_LIMIT, Side.BUY, "105", **more))
    events = move(bench, reference)
    assert not triggered(events)
    (closed,) = [event for event in events if isinstance(event, OrderClosed)]
    assert (closed.status, closed.reason) == (OrderStatus.REJECTED, reason)
    assert bench.money("alice", "USD") == before


def test_an_ioc_stop_limit_cancels_what_it_cannot_take(bench: Bench) -> None:
    placed(
        bench,
        trigger("alice", OrderType.STOP_LIMIT, Side.BUY, "105", price=units("105.3"), quantity=5 * UNIT,
                time_in_force=TimeInForce.IOC),
    )  # fmt: skip
    events = move(bench, "105")
    assert [trade.quantity for trade in trades(events)] == [2 * UNIT]
    (closed,) = [event for event in events if isinstance(event, OrderClosed)]
    assert (closed.status, closed.reason) == (OrderStatus.CANCELLED, CloseReason.IMMEDIATE_OR_CANCEL)


def test_a_triggered_order_that_would_trade_with_its_owner_is_cancelled(bench: Bench) -> None:
    placed(bench, bench.limit("alice", Side.BUY, "1", "95.9"))
    placed(bench, trigger("alice", OrderType.STOP, Side.SELL, "96"))
    (closed,) = [event for event in move(bench, "95.95") if isinstance(event, OrderClosed)]
    assert (closed.status, closed.reason) == (OrderStatus.CANCELLED, CloseReason.SELF_TRADE)


def test_a_stale_reference_triggers_nothing(bench: Bench) -> None:
    order_id = placed(bench, trigger("alice", OrderType.STOP, Side.SELL, "95"))
    bench.batch(10_000)
    bench.done(SetReferencePrice("COIN-USD", units("94"), "simulator", bench.now - 3_001, bench.now))
    assert not drain(bench)
    assert bench.exchange.state.orders[order_id].status is OrderStatus.NEW
    assert triggered(move(bench, "94.5")) == [order_id]


def test_nothing_is_triggered_while_the_market_is_not_open(bench: Bench) -> None:
    order_id = placed(bench, trigger("alice", OrderType.STOP, Side.SELL, "95"))
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, status=MarketStatus.CANCEL_ONLY), "incident"))
    assert not triggered(move(bench, "94"))
    bench.done(SetMarket(OPERATOR, COIN_USD, "over"))
    assert triggered(move(bench, "94")) == [order_id]


def test_waiting_orders_count_as_open_and_are_cancelled_with_the_others() -> None:
    bench = Bench(limits=Limits(open_orders_per_user=2))
    bench.reference("100")
    orders = [placed(bench, trigger("alice", OrderType.STOP, Side.SELL, "95")) for _ in range(2)]
    with pytest.raises(Rejection) as caught:
        bench.do(trigger("alice", OrderType.STOP, Side.SELL, "95"))
    assert caught.value.reason == "too_many_open_orders"
    assert [
        event.order_id for event in bench.done(CancelAll(actor("alice"))) if isinstance(event, OrderClosed)
    ] == orders
    assert not triggered(move(bench, "94"))


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"stop_price": 0}, "stop_price", "positive"),
        ({"stop_price": -1}, "stop_price", "positive"),
        ({"stop_price": 2**63}, "stop_price", "positive"),
        ({"price": UNIT}, "price", "only_for_limits"),
        ({"quantity": 0}, "quantity", "either_quantity_or_quote_quantity"),
        ({"quote_quantity": UNIT}, "quantity", "either_quantity_or_quote_quantity"),
        ({"quantity": 0, "quote_quantity": UNIT}, "quote_quantity", "not_for_waiting_sells"),
        ({"time_in_force": TimeInForce.IOC}, "time_in_force", "must_wait"),
        ({"time_in_force": TimeInForce.FOK}, "time_in_force", "must_wait"),
        ({"post_only": True}, "post_only", "only_for_limits"),
        ({"order_type": OrderType.STOP_LIMIT}, "price", "positive"),
        ({"order_type": OrderType.LIMIT, "price": UNIT}, "stop_price", "only_for_triggers"),
        ({"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}, "stop_price", "only_for_triggers"),
        ({"time_in_force": TimeInForce.GTD}, "expires_at", "required"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(
    bench: Bench, change: dict[str, object], field: str, rule: str
) -> None:
    with pytest.raises(InvalidOrder) as caught:
        bench.do(trigger("alice", OrderType.STOP, Side.SELL, "95")._replace(**change))
    assert (caught.value.details["field"], caught.value.details["rule"]) == (field, rule)


def test_a_stop_price_off_the_tick_and_a_limit_far_from_it_are_refused(bench: Bench) -> None:
    with pytest.raises(InvalidTick) as tick:
        bench.do(trigger("alice", OrderType.STOP, Side.SELL, "95.01"))
    assert (tick.value.details["field"], tick.value.details["nearest"]) == ("stop_price", "95")
    # A stop price may be far away; the limit is then measured against it.
    placed(bench, trigger("alice", OrderType.STOP_LIMIT, Side.SELL, "50", price=units("49")))
    with pytest.raises(OutsidePriceBand):
        bench.do(trigger("alice", OrderType.STOP_LIMIT, Side.SELL, "50", price=units("40")))


def test_a_retry_of_a_stop_finds_the_first_and_another_stop_price_under_the_key_is_refused(bench: Bench) -> None:
    command = trigger("alice", OrderType.STOP, Side.SELL, "95", idempotency_key="k")
    order_id = placed(bench, command)
    move(bench, "94")
    repeat = bench.do(command)
    assert repeat.order_ids == (order_id,)  # type: ignore[union-attr]
    with pytest.raises(Rejection) as caught:
        bench.do(command._replace(stop_price=units("94")))
    assert caught.value.reason == "idempotency_key_reused"


def test_a_lower_slippage_cap_leaves_the_holds_of_waiting_orders_as_they_are(bench: Bench) -> None:
    placed(bench, trigger("alice", OrderType.STOP, Side.BUY, "105"))
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, slippage_cap_basis_points=500), "wider"))
    available, held = bench.money("alice", "USD")
    assert held == units("107.3142")
    (trade,) = [event for event in move(bench, "106.5") if isinstance(event, Traded)]
    assert bench.money("alice", "USD") == (available + held - trade.notional - trade.buyer.fee, 0)
