"""Where the book holds little, or one's own orders: what is suggested fits, means the same and does something."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from chassis.errors import ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, trades, units
from test_triggers import trigger
from trading.domain.commands import AmendOrder, PlaceOrder, SetMarket
from trading.domain.events import Event, OrderClosed, OrderPlaced
from trading.domain.orders import CloseReason, OrderType, Side, TimeInForce
from trading.domain.place_order import place_order
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


@pytest.mark.parametrize(
    ("figures", "fits"),
    [({"quantity": 200 * UNIT}, {"quantity": 50 * UNIT}),
     ({"quote_quantity": 900 * UNIT}, {"quote_quantity": units("163.7450865")})],
)  # fmt: skip
def test_of_a_fill_or_kill_what_stands_before_ones_own_order_is_suggested(
    figures: dict[str, int], fits: dict[str, int]
) -> None:
    bench = thin()
    bench.deposit("carol", "USD", 1_000 * UNIT)
    bench.deposit("carol", "COIN", 1_000 * UNIT)
    bench.done(bench.limit("bob", Side.SELL, "50", "3.27"))
    bench.done(bench.limit("carol", Side.SELL, "100", "3.2745"))
    command = bench.market("carol", Side.BUY, time_in_force=FOK, **figures)
    suggested = suggestion(bench, command)
    assert suggested == command._replace(**fits)
    assert filled(bench.done(suggested)) >= units("49.97")


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


@pytest.mark.parametrize(("side", "fits"), [(Side.BUY, "327.48173037"), (Side.SELL, "325.82997352")])
def test_a_fill_or_kill_by_amount_that_does_not_fit_becomes_one_by_the_amount_that_does(side: Side, fits: str) -> None:
    bench = thin()
    bench.done(bench.limit("bob", Side.SELL, "99.86", "3.2745"))
    bench.done(bench.limit("bob", Side.BUY, "99.86", "3.2645"))
    bench.deposit("carol", "USD", 2_000 * UNIT)
    bench.deposit("carol", "COIN", 2_000 * UNIT)
    command = bench.market("carol", side, quote_quantity=900 * UNIT, time_in_force=FOK)
    with pytest.raises(ServiceError) as refusal:
        bench.do(command)
    assert suggestion(bench, command) == command._replace(quote_quantity=units(fits))
    # The fact beside it: what the rule alone would take, a buy's fee included as in the amount given.
    bench.done(command._replace(quote_quantity=units(refusal.value.details["nearest"])))


def test_a_fill_or_kill_by_amount_of_less_than_the_smallest_order_need_not_be_whole() -> None:
    bench = thin()
    bench.done(bench.limit("bob", Side.SELL, "1", "3.2745"))
    bench.deposit("carol", "USD", 2_000 * UNIT)
    bench.done(bench.market("carol", Side.BUY, quantity=units("0.8")))
    command = bench.market("carol", Side.BUY, quote_quantity=900 * UNIT, time_in_force=FOK)
    assert suggestion(bench, command) == command._replace(time_in_force=IOC)


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


def test_a_waiting_order_by_amount_says_that_it_cannot_be_amended() -> None:
    bench = thin()
    bench.deposit("carol", "USD", 1_000 * UNIT)
    order_id = placed(bench, trigger("carol", OrderType.STOP, Side.BUY, "3.4", quantity=0, quote_quantity=50 * UNIT))
    for figures in ({"quantity": UNIT}, {"price": UNIT}, {"price": UNIT, "quantity": UNIT}, {}, {"quantity": 7}):
        command = AmendOrder(actor("carol"), order_id, **figures)
        with pytest.raises(ServiceError):
            bench.do(command)
        assert "by quote amount" in str(suggest_amendment(bench.exchange.state, command))


def _book(random: Random) -> Bench:
    """Few orders, some of them carol's own; of hers often a little less money than the others' would take."""
    bench = Bench(users=("bob",), check=False)
    house = COIN_USD.house if random.random() < 0.2 else NO_HOUSE
    bench.do(SetMarket(OPERATOR, replace(FINE, house=house), "thin"))
    bench.deposit("bob", "COIN", 1_000 * UNIT)
    bench.reference("3.27")
    for _ in range(random.randrange(6)):
        user, side = random.choice(("bob", "bob", "carol")), random.choice(tuple(Side))
        price = f"{3.27 + random.randint(-300, 300) / 10_000:.4f}"
        order = bench.limit(user, side, f"{random.choice((0.4, 1, 20, 100)):.2f}", price)
        needed = order.quantity if side is Side.SELL else COIN_USD.notional(order.price, order.quantity) * 101 // 100
        bench.deposit(user, "COIN" if side is Side.SELL else "USD", needed)
        bench.done(order)
    market = bench.exchange.state.markets["COIN-USD"]
    for asset, book in (("USD", market.asks), ("COIN", market.bids)):
        others = [order for order in book.orders() if order.owner == "user:bob"]
        cost = sum(order.quantity * (order.price if asset == "USD" else UNIT) // UNIT for order in others)
        nearly = max(cost * random.randint(60, 100) // 100, 1)
        bench.deposit("carol", asset, random.choice((UNIT // 10, 2 * UNIT, nearly, nearly, 9_000 * UNIT)))
    return bench


def _wanted(random: Random, bench: Bench) -> PlaceOrder:
    side = random.choice(tuple(Side))
    large = random.choice((1, 30, 400, 4_000)) * UNIT + random.choice((0, 0, 7)) * UNIT // 1000
    by_amount = {"quote_quantity": large} if random.random() < 0.5 else {"quantity": large}
    if random.random() < 0.6:
        return bench.market("carol", side, time_in_force=random.choice((IOC, FOK)), **by_amount)
    price = f"{3.27 + random.randint(-500, 500) / 10_000:.4f}"
    time_in_force = random.choice((GTC, IOC, FOK))
    order = bench.limit("carol", side, "0", price, time_in_force=time_in_force)
    return order._replace(**by_amount)


def _ends_idle(events: list[Event]) -> CloseReason | None:
    """Why the order that they place is over without a fill."""
    closed = [event.reason for event in events if isinstance(event, OrderClosed)]
    return closed[0] if closed and not filled(events) else None


def _something_fits(bench: Bench, command: PlaceOrder) -> bool:
    """Whether any size of that order, tried one by one, is accepted and trades."""
    for size in range(LARGEST // 200, LARGEST, LARGEST // 200):
        sized = command._replace(quantity=size) if command.quantity else command._replace(quote_quantity=size)
        try:
            events = place_order(bench.exchange.state, sized)
        except ServiceError:
            continue
        if isinstance(events, list) and filled(events):
            return True
    return False


def _means_the_amount(bench: Bench, command: PlaceOrder, suggested: PlaceOrder) -> bool:
    """Whether a limit by quantity is what the amount was, fee and a lot apart, as far as money and book allow."""
    amount, worth = command.quote_quantity, suggested.price * suggested.quantity // UNIT
    lot = suggested.price * FINE.lot // UNIT
    smallest = FINE.minimum_notional + lot
    means = bench.money("carol", "USD")[0] if command.side is Side.BUY else bench.money("carol", "COIN")[0] * 3
    least = min(amount, means) * 99 // 100 - lot if command.time_in_force is not FOK else 0
    return least <= worth <= max(amount, smallest)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_suggestion_does_something_and_none_is_missing_where_another_size_would_do(seed: int) -> None:
    random = Random(seed)
    answers: Counter[str] = Counter()
    while answers.total() < REFUSALS:
        bench = _book(random)
        command = _wanted(random, bench)
        try:
            place_order(bench.exchange.state, command)
        except ServiceError as refusal:
            reason = refusal.reason
        else:
            continue
        at_the_market = command.order_type is OrderType.MARKET
        fits = at_the_market and _something_fits(bench, command)
        suggested = suggest_order(bench.exchange.state, command)
        if isinstance(suggested, str):
            answers[f"{reason}, none"] += 1
            assert not fits, (command, suggested)
            continue
        answers[reason] += 1
        if fits:
            kept = {"quantity": suggested.quantity, "quote_quantity": suggested.quote_quantity}
            assert suggested == command._replace(**kept), (command, suggested)
        if command.quote_quantity and not at_the_market:
            assert _means_the_amount(bench, command, suggested), (command, suggested)
        ended = _ends_idle(bench.done(suggested))
        if ended is not None:
            # Nobody is there at the limit of somebody who asked for an order that then ends.
            assert (command.time_in_force, ended) == (IOC, CloseReason.IMMEDIATE_OR_CANCEL), (command, suggested)
    assert {"insufficient_funds", "fill_or_kill_unfilled", "invalid_order"} <= set(answers), answers
    assert answers["fill_or_kill_unfilled, none"], answers
