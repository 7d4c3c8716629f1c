"""Where the book holds little, or one's own orders: what is suggested fits, means the same and does something."""

from dataclasses import replace

import pytest
from chassis.errors import ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, trades, units
from trading.domain.commands import AmendOrder, PlaceOrder, SetMarket
from trading.domain.events import Event, OrderPlaced
from trading.domain.orders import OrderType, Side, TimeInForce
from trading.domain.state import Limits
from trading.domain.suggest_amendment import suggest_amendment
from trading.domain.suggestions import OWN_ORDER, WHY_NONE, suggest_order

NO_HOUSE = replace(COIN_USD.house, levels=0)
FINE = replace(COIN_USD, tick=units("0.0001"), lot=units("0.01"), maximum_quantity=10_000 * UNIT, house=NO_HOUSE)
LARGEST = units("400")  # of the orders that the seeds make
REFUSALS = 400  # of each seed
FOK, IOC, GTC = TimeInForce.FOK, TimeInForce.IOC, TimeInForce.GTC


def thin(*, limits: Limits | None = None) -> Bench:
    bench = Bench(users=("bob",), limits=limits)
    bench.do(SetMarket(OPERATOR, FINE, "no house"))
    bench.reference("3.27")
    return bench


def suggestion(bench: Bench, command: PlaceOrder) -> PlaceOrder:
    with pytest.raises(ServiceError):
        bench.do(command)
    suggested = suggest_order(bench.exchange.state, command)
    assert isinstance(suggested, PlaceOrder), suggested
    return suggested


def filled(events: list[Event]) -> int:
    return sum(trade.quantity for trade in trades(events))


def placed(bench: Bench, command: PlaceOrder) -> str:
    event = bench.done(command)[0]
    assert isinstance(event, OrderPlaced)
    return event.order_id


@pytest.mark.parametrize("time_in_force", [IOC, FOK])
@pytest.mark.parametrize("wanted", ["101", "1000", "9000"])
def test_of_a_book_that_costs_more_than_one_has_as_much_is_suggested_as_the_money_pays_for(
    wanted: str, time_in_force: TimeInForce
) -> None:
    """However much more than the book holds was wanted: nothing of that is held for."""
    bench = thin()
    bench.done(bench.limit("bob", Side.SELL, "100", "3.2745"))
    bench.deposit("carol", "USD", units("325.0727804"))
    command = bench.market("carol", Side.BUY, quantity=units(wanted), time_in_force=time_in_force)
    suggested = suggestion(bench, command)
    # 325.07 less five basis points, at 3.2745 and 0.2 %.
    assert suggested == command._replace(quantity=units("99.02"))
    assert filled(bench.done(suggested)) == units("99.02")


@pytest.mark.parametrize("wanted", ["158", "900", "20000"])
def test_a_sell_by_amount_of_more_than_one_has_suggests_what_that_brings(wanted: str) -> None:
    bench = thin()
    bench.done(bench.limit("bob", Side.BUY, "20", "3.27"))
    bench.done(bench.limit("bob", Side.BUY, "28.5", "3.25"))
    bench.deposit("carol", "COIN", units("40"))
    suggested = suggestion(bench, bench.market("carol", Side.SELL, quote_quantity=units(wanted)))
    # 39.98 coins: 20 at 3.27, the rest at 3.25.
    assert suggested.quote_quantity == units("130.335")
    assert filled(bench.done(suggested)) == units("39.98")


@pytest.mark.parametrize("figures", [{"quantity": 300 * UNIT}, {"quote_quantity": 900 * UNIT}])
def test_what_is_postponed_beyond_the_fills_of_one_command_is_held_for_in_the_suggestion(
    figures: dict[str, int],
) -> None:
    bench = thin(limits=Limits(fills_per_command=2))
    for _ in range(8):
        bench.done(bench.limit("bob", Side.SELL, "10", "3.28"))
        bench.done(bench.limit("bob", Side.BUY, "10", "3.26"))
    bench.deposit("carol", "USD", 100 * UNIT)
    bench.deposit("carol", "COIN", 30 * UNIT)
    side = Side.BUY if "quantity" in figures else Side.SELL
    bench.done(suggestion(bench, bench.market("carol", side, **figures)))
    held = next(iter(bench.exchange.state.orders.values())).hold
    assert bench.exchange.state.markets["COIN-USD"].postponed
    assert held > 0


def test_money_for_less_than_the_smallest_order_of_a_thin_book_says_so() -> None:
    bench = thin()
    bench.done(bench.limit("bob", Side.SELL, "1", "3.2745"))
    bench.deposit("carol", "USD", UNIT // 2)
    bench.deposit("carol", "COIN", UNIT // 1000)
    for command in (
        bench.market("carol", Side.BUY, quantity=units("1000")),
        bench.market("carol", Side.SELL, quote_quantity=units("900")),
    ):
        bench.done(bench.limit("bob", Side.BUY, "1", "3.27"))
        assert suggest_order(bench.exchange.state, command) == WHY_NONE["insufficient_funds"]


@pytest.mark.parametrize("figures", [{"quantity": 5 * UNIT}, {"quote_quantity": 20 * UNIT}, {"price": units("3.28")}])
def test_a_fill_or_kill_that_meets_only_ones_own_order_is_told_which(figures: dict[str, int]) -> None:
    bench = thin()
    bench.deposit("carol", "USD", 1_000 * UNIT)
    bench.deposit("carol", "COIN", 1_000 * UNIT)
    own = placed(bench, bench.limit("carol", Side.SELL, "100", "3.2745"))
    bench.done(bench.limit("bob", Side.SELL, "100", "3.2745"))
    if "price" in figures:
        command = bench.limit("carol", Side.BUY, "5", "3.28", time_in_force=FOK)
    else:
        command = bench.market("carol", Side.BUY, time_in_force=FOK, **figures)
    with pytest.raises(ServiceError):
        bench.do(command)
    assert suggest_order(bench.exchange.state, command) == OWN_ORDER.format(own)


def test_a_mended_order_that_would_only_meet_ones_own_names_it() -> None:
    bench = thin()
    bench.deposit("carol", "USD", 1_000 * UNIT)
    bench.deposit("carol", "COIN", 1_000 * UNIT)
    own = placed(bench, bench.limit("carol", Side.SELL, "100", "3.2745"))
    resting = placed(bench, bench.limit("carol", Side.BUY, "10", "3.2"))
    crossing = bench.limit("carol", Side.BUY, "10.001", "3.3")
    amendment = AmendOrder(actor("carol"), resting, price=units("3.28001"))
    state = bench.exchange.state
    for command in (crossing, amendment):
        with pytest.raises(ServiceError):
            bench.do(command)
    assert suggest_order(state, crossing) == OWN_ORDER.format(own)
    assert suggest_amendment(state, amendment) == OWN_ORDER.format(own)


@pytest.mark.parametrize(
    ("order", "quantity"),
    [
        # A buy's amount has the fee of 0.2 % in it, as on a market order.
        ({"side": Side.BUY, "price": units("3.2")}, "15.59"),
        ({"side": Side.SELL, "price": units("3.3")}, "15.15"),
        ({"side": Side.SELL, "price": 0}, "15.29"),  # at the price that is suggested
        ({"side": Side.BUY, "price": units("3.3"), "order_type": OrderType.STOP_LIMIT, "stop_price": units("3.3")},
         "15.12"),
        # Where both are given the quantity stands.
        ({"side": Side.BUY, "price": units("3.2"), "quantity": UNIT}, "1"),
    ],
)  # fmt: skip
def test_a_limit_by_amount_becomes_one_by_the_quantity_that_the_amount_is(
    order: dict[str, object], quantity: str
) -> None:
    bench = thin()
    bench.deposit("carol", "USD", 1_000 * UNIT)
    bench.deposit("carol", "COIN", 1_000 * UNIT)
    command = bench.limit("carol", Side.BUY, "0", "0", quote_quantity=50 * UNIT)._replace(**order)  # type: ignore[arg-type]
    suggested = suggestion(bench, command)
    assert (suggested.quantity, suggested.quote_quantity) == (units(quantity), 0)
    assert suggested.price == (command.price or units("3.27"))
    bench.done(suggested)
