import contextlib
from dataclasses import replace

import pytest
from chassis.errors import ErrorKind, ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, trades, units
from trading.domain.commands import PlaceOrder, SetMarket
from trading.domain.errors import InsufficientFunds
from trading.domain.events import OrderClosed, OrderPlaced, Traded
from trading.domain.markets import MarketStatus
from trading.domain.orders import CloseReason, Liquidity, OrderStatus, Side, TimeInForce
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits


@pytest.fixture
def bench() -> Bench:
    bench = Bench(users=("alice", "bob", "carol"))
    bench.reference("100")
    return bench


def refused(bench: Bench, command: PlaceOrder) -> ServiceError:
    """The refusal, after a look that it left nothing behind."""
    before = state_hash(bench.exchange.state)
    with pytest.raises(ServiceError) as caught:
        bench.do(command)
    assert state_hash(bench.exchange.state) == before
    return caught.value


def test_a_limit_buy_holds_its_cost_and_maximal_fee(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.BUY, "2", "99"))
    assert bench.money("alice", "USD") == (units("10000") - units("198.396"), units("198.396"))


def test_a_limit_sell_holds_its_quantity(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.SELL, "2", "101"))
    assert bench.money("alice", "COIN") == (98 * UNIT, 2 * UNIT)


def test_a_trade_happens_at_the_resting_price_and_gives_back_the_difference(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.SELL, "1", "100"))
    events = bench.done(bench.limit("bob", Side.BUY, "1", "101"))
    (trade,) = trades(events)
    assert (trade.price, trade.quantity, trade.notional) == (100 * UNIT, UNIT, 100 * UNIT)
    assert (trade.buyer.liquidity, trade.buyer.fee) == (Liquidity.TAKER, units("0.2"))
    assert (trade.seller.liquidity, trade.seller.fee) == (Liquidity.MAKER, units("0.1"))
    assert bench.money("bob", "USD") == (units("9899.8"), 0)
    assert bench.money("alice", "USD") == (units("10099.9"), 0)
    assert not bench.exchange.state.orders


def test_better_prices_trade_first_and_older_orders_before_younger(bench: Bench) -> None:
    for user, price in (("alice", "100.1"), ("bob", "100.1"), ("alice", "100"), ("bob", "99.9")):
        bench.done(bench.limit(user, Side.SELL, "1", price))
    events = bench.done(bench.limit("carol", Side.BUY, "3.5", "100.1"))
    assert [(trade.seller.owner, trade.price) for trade in trades(events)] == [
        ("user:bob", units("99.9")),
        ("user:alice", units("100")),
        ("user:alice", units("100.1")),
        ("user:bob", units("100.1")),
    ]
    assert trades(events)[-1].quantity == UNIT // 2


def test_a_user_at_the_houses_price_trades_before_the_house(bench: Bench) -> None:
    bench.done(bench.limit("bob", Side.SELL, "1", "100.2"))
    events = bench.done(bench.market("alice", Side.BUY, quantity=units("2")))
    assert [(trade.seller.owner, trade.price) for trade in trades(events)] == [
        ("user:bob", units("100.2")),
        ("house", units("100.2")),
    ]


def test_a_market_buy_by_quote_quantity_spends_it_with_fees_included(bench: Bench) -> None:
    events = bench.done(bench.market("alice", Side.BUY, quote_quantity=units("100")))
    (trade,) = trades(events)
    assert trade.buyer.status is OrderStatus.FILLED
    spent = trade.notional + trade.buyer.fee
    assert spent <= units("100")
    assert trade.notional + COIN_USD.notional(trade.price, COIN_USD.lot) > units("99.8")
    assert bench.money("alice", "USD") == (units("10000") - spent, 0)


def test_what_is_left_of_a_quote_quantity_buys_nothing_where_the_next_price_has_no_lot_for_it(bench: Bench) -> None:
    for quantity, price in (("0.012", "99.9"), ("1", "100.1")):
        bench.done(bench.limit("alice", Side.SELL, quantity, price))
    left = units("0.1")  # a lot costs 0.0999, and then 0.1001
    quote_quantity = (units("1.1988") + left) * 10_020 // 10_000
    events = bench.done(bench.market("bob", Side.BUY, quote_quantity=quote_quantity))
    (trade,) = trades(events)
    assert (trade.price, trade.quantity, trade.buyer.status) == (units("99.9"), units("0.012"), OrderStatus.FILLED)


def test_a_market_sell_by_quote_quantity_sells_no_more_than_that(bench: Bench) -> None:
    (trade,) = trades(bench.done(bench.market("alice", Side.SELL, quote_quantity=units("50"))))
    assert trade.price == units("99.8")
    assert units("49.9") < trade.notional <= units("50")


def test_a_market_order_stops_at_the_slippage_cap_and_its_rest_is_cancelled(bench: Bench) -> None:
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, slippage_cap_basis_points=50), "tight"))
    events = bench.done(bench.market("alice", Side.BUY, quantity=units("6")))
    assert [trade.price for trade in trades(events)] == [units("100.2"), units("100.4")]
    closed = events[-1]
    assert isinstance(closed, OrderClosed)
    assert (closed.status, closed.reason) == (OrderStatus.CANCELLED, CloseReason.NO_LIQUIDITY)
    assert bench.money("alice", "USD")[1] == 0


def test_nobody_to_trade_with_refuses_a_market_order(bench: Bench) -> None:
    quiet = replace(COIN_USD, house=replace(COIN_USD.house, levels=0))
    bench.done(SetMarket(OPERATOR, quiet, "no house"))
    error = refused(bench, bench.market("alice", Side.BUY, quantity=units("1")))
    assert (error.kind, error.reason) == (ErrorKind.REJECTED, "no_liquidity")


def test_an_orders_fee_is_rounded_up_once_however_it_is_cut_into_fills() -> None:
    bench = Bench(users=("alice", "bob", "carol"))
    bench.reference("0.01", market="DUST-USD")
    dust = {"market": "DUST-USD"}
    for _ in range(3):
        bench.done(bench.limit("bob", Side.SELL, "1.001", "0.01", **dust))
    bench.done(bench.limit("alice", Side.BUY, "3.003", "0.01", **dust))
    paid = [event.buyer.fee for event in bench.events if isinstance(event, Traded)]
    # 3 x 1001000 minor units at 13 basis points: 1301.3 each, 3903.9 together.
    assert paid == [1302, 1301, 1301]


def test_an_ioc_leaves_nothing_behind(bench: Bench) -> None:
    bench.done(bench.limit("bob", Side.SELL, "1", "100"))
    events = bench.done(bench.limit("alice", Side.BUY, "2", "100", time_in_force=TimeInForce.IOC))
    assert len(trades(events)) == 1
    assert isinstance(events[-1], OrderClosed)
    assert events[-1].reason is CloseReason.IMMEDIATE_OR_CANCEL
    assert bench.money("alice", "USD")[1] == 0


def test_a_fill_or_kill_that_cannot_be_filled_names_what_could(bench: Bench) -> None:
    bench.done(bench.limit("bob", Side.SELL, "1", "100"))
    error = refused(bench, bench.limit("alice", Side.BUY, "2", "100", time_in_force=TimeInForce.FOK))
    assert (error.reason, error.details["limit"], error.details["given"]) == ("fill_or_kill_unfilled", "1", "2")
    assert error.details["nearest"] == "1"
    assert trades(bench.done(bench.limit("alice", Side.BUY, "1", "100", time_in_force=TimeInForce.FOK)))
    # Nobody is left: zero is no order that would pass.
    nothing = refused(bench, bench.limit("alice", Side.BUY, "1", "100", time_in_force=TimeInForce.FOK))
    assert (nothing.details["limit"], "nearest" in nothing.details) == ("0", False)


@pytest.mark.parametrize("side", list(Side))
def test_a_fill_or_kill_by_quote_quantity_names_the_amount_that_could_be(bench: Bench, side: Side) -> None:
    """Of a buy with its fee, as the given amount is."""
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, house=replace(COIN_USD.house, levels=0)), "no house"))
    bench.reference("100")
    bench.done(bench.limit("bob", Side.SELL if side is Side.BUY else Side.BUY, "1", "100"))
    command = bench.market("alice", side, quote_quantity=units("200"), time_in_force=TimeInForce.FOK)
    details = refused(bench, command).details
    nearest = "100.2" if side is Side.BUY else "100"
    assert (details["limit"], details["given"], details["nearest"]) == (nearest, "200", nearest)
    (trade,) = trades(bench.done(command._replace(quote_quantity=units(nearest))))
    assert trade.quantity == UNIT


@pytest.mark.parametrize("side", list(Side))
def test_a_quote_quantity_above_the_largest_order_is_refused_with_the_largest_quote_quantity(
    bench: Bench, side: Side
) -> None:
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, maximum_quantity=UNIT), "small"))
    bench.reference("100")
    command = bench.market("alice", side, quote_quantity=units("150"))
    details = refused(bench, command).details
    named = {name: details[name] for name in ("rule", "field", "limit", "given", "nearest")}
    assert named == {
        "rule": "max_quantity", "field": "quote_quantity", "limit": "100", "given": "150", "nearest": "100",
    }  # fmt: skip
    assert trades(bench.done(command._replace(quote_quantity=units(details["nearest"]))))
    by_quantity = refused(bench, bench.market("alice", side, quantity=units("1.5"))).details
    assert (by_quantity["field"], by_quantity["nearest"]) == ("quantity", "1")


def test_post_only_never_takes_from_users_or_the_house(bench: Bench) -> None:
    error = refused(bench, bench.limit("alice", Side.BUY, "1", "100.2", post_only=True))
    assert (error.reason, error.details["limit"], error.details["nearest"]) == (
        "post_only_would_take",
        "100.2",
        "100.1",
    )
    bench.done(bench.limit("bob", Side.SELL, "1", "100"))
    assert refused(bench, bench.limit("alice", Side.BUY, "1", "100", post_only=True)).details["nearest"] == "99.9"
    assert not trades(bench.done(bench.limit("alice", Side.BUY, "1", "99.9", post_only=True)))


def test_the_newer_of_two_own_orders_is_cancelled_instead_of_trading_with_itself(bench: Bench) -> None:
    bench.done(bench.limit("bob", Side.SELL, "1", "99.9"))
    bench.done(bench.limit("alice", Side.SELL, "1", "100"))
    events = bench.done(bench.limit("alice", Side.BUY, "3", "100"))
    assert [trade.seller.owner for trade in trades(events)] == ["user:bob"]
    assert isinstance(events[-1], OrderClosed)
    assert events[-1].reason is CloseReason.SELF_TRADE
    assert [order.side for order in bench.exchange.state.orders.values()] == [Side.SELL]


@pytest.mark.parametrize(
    ("change", "reason", "nearest"),
    [
        ({"price": units("100.05")}, "invalid_tick", "100.1"),
        ({"quantity": units("1.0001")}, "invalid_lot", "1"),
        ({"quantity": units("0.009")}, "below_min_notional", "0.011"),
        ({"quantity": units("51")}, "above_max_quantity", "50"),
        ({"price": units("89.9")}, "price_band", "90"),
        ({"price": units("110.1")}, "price_band", "110"),
        ({"quantity": 0}, "invalid_order", None),
        ({"price": 0}, "invalid_order", None),
        ({"price": 2**63}, "invalid_order", None),
        ({"quote_quantity": UNIT}, "invalid_order", None),
        ({"market": "NONE-USD"}, "unknown_market", None),
        ({"post_only": True, "time_in_force": TimeInForce.IOC}, "invalid_order", None),
        ({"client_order_id": "x" * 65}, "invalid_order", None),
    ],
)
def test_a_limit_order_off_the_rules_is_refused_with_what_would_pass(
    bench: Bench, change: dict[str, object], reason: str, nearest: str | None
) -> None:
    error = refused(bench, bench.limit("alice", Side.BUY, "1", "99")._replace(**change))  # type: ignore[arg-type]
    assert error.reason == reason
    assert error.details.get("nearest") == nearest


@pytest.mark.parametrize(
    "change",
    [
        {"price": UNIT},
        {"quantity": 0},
        {"quote_quantity": UNIT},
        {"time_in_force": TimeInForce.GTC},
        {"post_only": True},
    ],
)
def test_a_market_order_with_fields_that_do_not_fit_is_invalid(bench: Bench, change: dict[str, object]) -> None:
    command = bench.market("alice", Side.BUY, quantity=UNIT)._replace(**change)  # type: ignore[arg-type]
    assert refused(bench, command).kind is ErrorKind.INVALID


def test_insufficient_funds_name_what_is_needed_and_what_is_there(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.BUY, "50", "99"))
    bench.done(bench.limit("alice", Side.BUY, "50", "99"))
    error = refused(bench, bench.limit("alice", Side.BUY, "1", "99"))
    assert error.reason == "insufficient_funds"
    assert (error.details["required"], error.details["available"]) == ("99.198", "80.2")


def test_exactly_the_affordable_orders_are_accepted() -> None:
    bench = Bench(users=("bob",))
    bench.deposit("alice", "USD", units("1000"))
    bench.reference("100")
    accepted = 0
    for _ in range(20):
        with contextlib.suppress(InsufficientFunds):
            bench.done(bench.market("alice", Side.BUY, quote_quantity=units("100.10")))
            accepted += 1
        bench.batch(5_000)
        bench.reference("100")
    assert accepted == 9


def test_no_more_orders_than_allowed_rest_but_takers_pass() -> None:
    bench = Bench(limits=Limits(open_orders_per_user=2))
    bench.reference("100")
    for _ in range(2):
        bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    error = refused(bench, bench.limit("alice", Side.BUY, "1", "99"))
    assert (error.reason, error.details["limit"]) == ("too_many_open_orders", "2")
    assert trades(bench.done(bench.market("alice", Side.BUY, quantity=UNIT)))


@pytest.mark.parametrize(
    ("status", "reason"), [(MarketStatus.CANCEL_ONLY, "market_cancel_only"), (MarketStatus.HALTED, "market_halted")]
)
def test_a_market_that_is_not_trading_takes_no_orders(bench: Bench, status: MarketStatus, reason: str) -> None:
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, status=status), "incident"))
    assert refused(bench, bench.limit("alice", Side.BUY, "1", "99")).reason == reason


def test_each_event_of_a_user_has_the_next_number(bench: Bench) -> None:
    start = bench.exchange.state.owners["user:alice"].sequence
    bench.done(bench.limit("alice", Side.SELL, "1", "100"))
    events = bench.done(bench.limit("bob", Side.BUY, "2", "100.2"))
    placed = [event.user_sequence for event in events if isinstance(event, OrderPlaced)]
    sells = [trade.seller.user_sequence for trade in trades(events)]
    buys = [trade.buyer.user_sequence for trade in trades(events)]
    assert sells[0] == start + 2
    assert buys == [placed[0] + 1, placed[0] + 2]
