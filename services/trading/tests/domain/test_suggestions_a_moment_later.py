"""What is suggested holds for a moment: the price has moved on a little when whoever was refused sends it."""

from dataclasses import replace

import pytest
from chassis.errors import ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, trades, units
from test_triggers import trigger
from trading.domain.commands import AmendOrder, PlaceOrder, SetMarket
from trading.domain.events import OrderPlaced
from trading.domain.markets import Market
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.suggest_amendment import suggest_amendment
from trading.domain.suggestions import suggest_order

FINE_TICK = replace(COIN_USD, tick=units("0.001"), minimum_notional=1)


@pytest.mark.parametrize(("side", "crossing"), [(Side.BUY, "101"), (Side.SELL, "99")])
def test_what_is_suggested_beside_the_live_price_is_still_accepted_when_that_has_moved_a_little(
    side: Side, crossing: str
) -> None:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, FINE_TICK, "start"))
    bench.reference("100")
    resting = bench.done(bench.limit("alice", side, "1", "95" if side is Side.BUY else "105", post_only=True))[0]
    assert isinstance(resting, OrderPlaced)
    state = bench.exchange.state
    orders = [
        bench.limit("alice", side, "1", crossing, post_only=True),
        trigger("alice", OrderType.STOP, side, "100"),
        trigger("alice", OrderType.TAKE_PROFIT, side, "100"),
    ]
    suggested = [suggest_order(state, order) for order in orders]
    amended = suggest_amendment(state, AmendOrder(actor("alice"), resting.order_id, price=units(crossing)))
    for moved in ("99.96", "100.04"):
        bench.reference(moved)
        for command in (*suggested, amended):
            assert isinstance(command, PlaceOrder | AmendOrder)
            bench.done(command)


@pytest.mark.parametrize(
    ("market", "side", "figures"),
    [
        (FINE_TICK, Side.BUY, {"quantity": UNIT, "price": 50 * UNIT}),
        (FINE_TICK, Side.BUY, {"quantity": UNIT, "price": 150 * UNIT}),
        (FINE_TICK, Side.SELL, {"quantity": UNIT, "price": 50 * UNIT}),
        (FINE_TICK, Side.SELL, {"quantity": UNIT, "price": 150 * UNIT}),
        (replace(FINE_TICK, minimum_notional=UNIT, lot=UNIT // 100_000), Side.BUY, {"quantity": units("0.001")}),
        (replace(FINE_TICK, maximum_quantity=UNIT), Side.BUY, {"quote_quantity": 200 * UNIT}),
        (FINE_TICK, Side.BUY, {"quote_quantity": units("0.1")}),
        (FINE_TICK, Side.SELL, {"quote_quantity": units("0.09")}),
        (FINE_TICK, Side.BUY, {"quantity": 2 * UNIT}),
        (FINE_TICK, Side.BUY, {"quantity": 40 * UNIT}),  # of which the house has six
        (FINE_TICK, Side.SELL, {"quote_quantity": 4_000 * UNIT}),
        (replace(FINE_TICK, lot=UNIT // 100_000), Side.SELL, {"quote_quantity": 150 * UNIT}),
    ],
)
@pytest.mark.parametrize("moved", ["99.96", "100.04"])
def test_what_is_suggested_at_a_limit_that_moves_with_the_live_price_is_still_accepted_a_moment_later(
    market: Market, side: Side, figures: dict[str, int], moved: str
) -> None:
    bench = Bench(users=("alice",))
    bench.do(SetMarket(OPERATOR, market, "start"))
    bench.reference("100")
    bench.deposit("carol", "USD", 150 * UNIT)
    bench.deposit("carol", "COIN", UNIT)
    command = bench.market("carol", side, **figures)
    if command.price:
        command = command._replace(order_type=OrderType.LIMIT, time_in_force=TimeInForce.GTC)
    with pytest.raises(ServiceError):
        bench.do(command)
    suggested = suggest_order(bench.exchange.state, command)
    assert isinstance(suggested, PlaceOrder)
    bench.reference(moved)
    bench.done(suggested)


@pytest.mark.parametrize("moved", ["99.96", "100.04"])
@pytest.mark.parametrize("side", list(Side))
def test_a_fill_or_kill_by_the_amount_that_the_house_has_still_fits_a_moment_later(side: Side, moved: str) -> None:
    bench = Bench(users=("alice",))
    bench.do(SetMarket(OPERATOR, FINE_TICK, "start"))
    bench.reference("100")
    command = bench.market("alice", side, quote_quantity=4_000 * UNIT, time_in_force=TimeInForce.FOK)
    with pytest.raises(ServiceError):
        bench.do(command)
    suggested = suggest_order(bench.exchange.state, command)
    assert isinstance(suggested, PlaceOrder)
    assert suggested == command._replace(quote_quantity=suggested.quote_quantity)
    bench.reference(moved)
    assert trades(bench.done(suggested))


@pytest.mark.parametrize("far", ["50", "150"])
def test_an_amendment_beyond_the_band_suggests_a_price_that_is_within_it_a_moment_later(far: str) -> None:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, FINE_TICK, "start"))
    bench.reference("100")
    resting = bench.done(bench.limit("alice", Side.BUY, "1", "95"))[0]
    assert isinstance(resting, OrderPlaced)
    command = AmendOrder(actor("alice"), resting.order_id, price=units(far))
    suggested = suggest_amendment(bench.exchange.state, command)
    assert isinstance(suggested, AmendOrder)
    bench.reference("100.04" if far == "50" else "99.96")
    bench.done(suggested)


def test_a_band_that_does_not_move_is_used_to_its_edge() -> None:
    bench = Bench()
    bench.reference("100")
    command = trigger("alice", OrderType.STOP_LIMIT, Side.SELL, "80", price=units("50"))
    suggested = suggest_order(bench.exchange.state, command)
    assert isinstance(suggested, PlaceOrder)
    assert suggested.price == units("72")
    (waiting,) = bench.done(suggested)
    assert isinstance(waiting, OrderPlaced)
    amendment = AmendOrder(actor("alice"), waiting.order_id, price=units("200"))
    amended = suggest_amendment(bench.exchange.state, amendment)
    assert isinstance(amended, AmendOrder)
    assert amended.price == units("88")


def test_a_cap_as_wide_as_the_band_suggests_a_limit_within_the_band() -> None:
    bench = Bench()
    bench.reference("100")
    widest = replace(FINE_TICK, slippage_cap_basis_points=1_000, house=replace(COIN_USD.house, levels=0))
    bench.do(SetMarket(OPERATOR, widest, "start"))
    bench.reference("100")
    suggested = suggest_order(bench.exchange.state, bench.market("alice", Side.BUY, quantity=UNIT))
    assert isinstance(suggested, PlaceOrder)
    assert units("109.9") < suggested.price < units("110")


def test_of_a_band_too_narrow_for_a_distance_the_edge_is_suggested() -> None:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, tick=50 * UNIT), "start"))
    bench.reference("100")
    suggested = suggest_order(bench.exchange.state, bench.limit("alice", Side.BUY, "1", "50"))
    assert isinstance(suggested, PlaceOrder)
    assert suggested.price == units("100")
