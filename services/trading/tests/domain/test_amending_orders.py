import pytest
from exchange_factory import COIN_USD, UNIT, Bench, actor, trades, units
from test_triggers import drain, move, trigger
from trading.domain.amounts import AMOUNT_MAX
from trading.domain.commands import AmendOrder, CancelOrder, PlaceOrder, SetReferencePrice
from trading.domain.errors import InvalidOrder, OutsidePriceBand, Rejection
from trading.domain.events import Event, OrderAmended, OrderClosed, OrderPlaced
from trading.domain.orders import CloseReason, OrderStatus, OrderType, Side
from trading.domain.outcomes import Repeat
from trading.domain.queries import markets_to_continue
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot
from trading.domain.state import Limits


@pytest.fixture
def bench() -> Bench:
    bench = Bench(users=("alice", "bob", "carol"))
    bench.reference("100")
    return bench


def placed(bench: Bench, command: PlaceOrder) -> str:
    return next(event.order_id for event in bench.done(command) if isinstance(event, OrderPlaced))


def amend(user: str, order_id: str, *, quantity: str = "", price: str = "", key: str = "") -> AmendOrder:
    return AmendOrder(actor(user), order_id, units(price) if price else 0, units(quantity) if quantity else 0, key)


def bids(bench: Bench) -> list[str]:
    return [order.order_id for order in bench.exchange.state.markets["COIN-USD"].bids.orders()]


def amendment(events: list[Event]) -> OrderAmended:
    (event,) = [event for event in events if isinstance(event, OrderAmended)]
    return event


@pytest.mark.parametrize(
    ("change", "keeps"),
    [
        ({"quantity": "0.5"}, True),
        ({"quantity": "1"}, True),
        ({"price": "99"}, True),
        ({"quantity": "0.5", "price": "99"}, True),
        ({"quantity": "1.001"}, False),
        ({"quantity": "0.5", "price": "98.9"}, False),
    ],
)
def test_an_order_keeps_its_place_only_on_a_smaller_quantity_at_the_same_price(
    bench: Bench, *, change: dict[str, str], keeps: bool
) -> None:
    first = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    second = placed(bench, bench.limit("bob", Side.BUY, "1", "99"))
    amended = amendment(bench.done(amend("alice", first, **change)))
    assert (amended.priority == 0) is keeps
    assert bids(bench) == ([first, second] if keeps else [second, first])
    # A restart keeps the order of the queue.
    restored = restore_snapshot(take_snapshot(bench.exchange.state))
    assert [order.order_id for order in restored.markets["COIN-USD"].bids.orders()] == bids(bench)
    assert state_hash(restored) == state_hash(bench.exchange.state)


def test_one_who_lost_the_place_stands_behind_those_who_came_in_between(bench: Bench) -> None:
    first = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    second = placed(bench, bench.limit("bob", Side.BUY, "1", "98.9"))
    bench.done(amend("alice", first, price="98.9"))
    third = placed(bench, bench.limit("carol", Side.BUY, "1", "98.9"))
    assert bids(bench) == [second, first, third]


def test_two_who_lost_their_places_one_after_the_other_stand_in_that_order_after_a_restart(bench: Bench) -> None:
    first = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    second = placed(bench, bench.limit("bob", Side.BUY, "1", "99"))
    bench.done(amend("bob", second, price="98"))
    bench.done(amend("alice", first, price="98"))
    assert bids(bench) == [second, first]
    restored = restore_snapshot(take_snapshot(bench.exchange.state))
    assert [order.order_id for order in restored.markets["COIN-USD"].bids.orders()] == [second, first]


@pytest.mark.parametrize(
    ("side", "change", "asset", "held"),
    [
        (Side.BUY, {"quantity": "2"}, "USD", "198.396"),
        (Side.BUY, {"quantity": "0.3"}, "USD", "29.7594"),
        (Side.BUY, {"price": "98"}, "USD", "98.196"),
        (Side.BUY, {"price": "98.5", "quantity": "3"}, "USD", "296.091"),
        (Side.SELL, {"quantity": "2.5"}, "COIN", "2.5"),
        (Side.SELL, {"quantity": "0.4", "price": "101.5"}, "COIN", "0.4"),
    ],
)
def test_funds_are_held_anew_exactly(bench: Bench, side: Side, change: dict[str, str], asset: str, held: str) -> None:
    total = sum(bench.money("alice", asset))
    order_id = placed(bench, bench.limit("alice", side, "1", "99" if side is Side.BUY else "101"))
    bench.done(amend("alice", order_id, **change))
    assert bench.money("alice", asset) == (total - units(held), units(held))
    bench.done(CancelOrder(actor("alice"), order_id))
    assert bench.money("alice", asset) == (total, 0)


def test_what_was_filled_stays_and_its_fee_stays_paid(bench: Bench) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "2", "99.9"))
    bench.done(bench.limit("bob", Side.SELL, "0.5", "99.9"))
    bench.done(amend("alice", order_id, quantity="1", price="98"))
    order = bench.exchange.state.orders[order_id]
    assert (order.status, order.filled_quantity, order.remaining_quantity) == (
        OrderStatus.PARTIALLY_FILLED, UNIT // 2, UNIT // 2,
    )  # fmt: skip
    # Half a coin at 98 and the larger fee of it; the maker's fee of the first half is paid.
    assert order.hold == units("49") + units("0.098")


@pytest.mark.parametrize(("quantity", "nearest"), [("0.5", "0.501"), ("0.499", "0.501")])
def test_no_order_is_amended_to_what_is_filled_or_less(bench: Bench, quantity: str, nearest: str) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "2", "99.9"))
    bench.done(bench.limit("bob", Side.SELL, "0.5", "99.9"))
    with pytest.raises(Rejection) as caught:
        bench.do(amend("alice", order_id, quantity=quantity))
    assert (caught.value.reason, caught.value.details["limit"], caught.value.details["nearest"]) == (
        "amend_below_filled", "0.5", nearest,
    )  # fmt: skip
    bench.done(amend("alice", order_id, quantity=nearest))


def test_an_order_amended_to_a_price_that_meets_somebody_takes(bench: Bench) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "3", "99"))
    placed(bench, bench.limit("bob", Side.SELL, "1", "100.1"))
    events = bench.done(amend("alice", order_id, price="100.2"))
    assert [(trade.price, trade.quantity, trade.buyer.order_id) for trade in trades(events)] == [
        (units("100.1"), UNIT, order_id), (units("100.2"), 2 * UNIT, order_id),
    ]  # fmt: skip
    assert order_id not in bench.exchange.state.orders
    assert bench.money("alice", "USD")[1] == 0


def test_what_an_amended_order_cannot_take_rests_at_its_new_price(bench: Bench) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "3", "99"))
    assert len(trades(bench.done(amend("alice", order_id, price="100.2")))) == 1
    order = bench.exchange.state.orders[order_id]
    assert (order.resting, order.price, order.filled_quantity) == (True, units("100.2"), 2 * UNIT)


def test_an_amended_order_that_meets_too_many_goes_on_by_continue() -> None:
    bench = Bench(limits=Limits(fills_per_command=2), users=("alice", "bob"))
    bench.reference("100")
    for _ in range(5):
        placed(bench, bench.limit("bob", Side.SELL, "0.1", "100"))
    order_id = placed(bench, bench.limit("alice", Side.BUY, "3", "99"))
    events = bench.done(amend("alice", order_id, price="100.1", key="k"))
    assert markets_to_continue(bench.exchange.state) == ["COIN-USD"]
    events += drain(bench)
    assert len(trades(events)) == 5
    assert bench.exchange.state.orders[order_id].resting


def test_a_post_only_order_is_not_amended_into_taking(bench: Bench) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "3", "99", post_only=True))
    with pytest.raises(Rejection) as caught:
        bench.do(amend("alice", order_id, price="100.2"))
    assert (caught.value.reason, caught.value.details["nearest"]) == ("post_only_would_take", "100.1")
    bench.done(amend("alice", order_id, price="100.1"))


def test_an_amended_order_that_would_trade_with_its_owner_is_cancelled(bench: Bench) -> None:
    placed(bench, bench.limit("alice", Side.SELL, "1", "100.1"))
    order_id = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    (closed,) = [
        event for event in bench.done(amend("alice", order_id, price="100.1")) if isinstance(event, OrderClosed)
    ]
    assert (closed.order_id, closed.reason) == (order_id, CloseReason.SELF_TRADE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": "99.01"}, "invalid_tick"),
        ({"quantity": "1.0001"}, "invalid_lot"),
        ({"quantity": "50.001"}, "above_max_quantity"),
        ({"quantity": "0.001"}, "below_min_notional"),
        ({"price": "80"}, "price_band"),
        ({"quantity": "49", "price": "109"}, "insufficient_funds"),
    ],
)
def test_new_figures_meet_the_rules_of_a_new_order(bench: Bench, change: dict[str, str], reason: str) -> None:
    bench.done(bench.limit("alice", Side.BUY, "50", "99"))
    order_id = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    before = state_hash(bench.exchange.state)
    with pytest.raises(Rejection) as caught:
        bench.do(amend("alice", order_id, **change))
    assert caught.value.reason == reason
    assert state_hash(bench.exchange.state) == before


@pytest.mark.parametrize(("price", "passes"), [("89.9", False), ("90", True), ("110", True), ("110.1", False)])
def test_an_amended_limit_reaches_exactly_to_the_price_band(bench: Bench, price: str, *, passes: bool) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "0.1", "99"))
    if passes:
        bench.done(amend("alice", order_id, price=price))
        return
    with pytest.raises(OutsidePriceBand):
        bench.do(amend("alice", order_id, price=price))


def test_an_amendment_needs_a_figure_that_the_order_has(bench: Bench) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    stop = placed(bench, trigger("alice", OrderType.STOP, Side.SELL, "95"))
    by_amount = placed(bench, trigger("alice", OrderType.STOP, Side.BUY, "105", quantity=0, quote_quantity=50 * UNIT))
    for command, rule in (
        (amend("alice", order_id), "price_or_quantity"),
        (amend("alice", stop, price="94"), "only_for_limits"),
        (amend("alice", by_amount, quantity="1"), "only_by_quantity"),
        (AmendOrder(actor("alice"), order_id, quantity=-1), "range"),
        (AmendOrder(actor("alice"), order_id, price=2**63), "range"),
    ):
        with pytest.raises(InvalidOrder) as caught:
            bench.do(command)
        assert caught.value.details["rule"] == rule


def test_another_persons_or_a_closed_order_is_no_open_order(bench: Bench) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    for command in (amend("bob", order_id, quantity="0.5"), amend("alice", "nothing", quantity="0.5")):
        with pytest.raises(Rejection) as caught:
            bench.do(command)
        assert caught.value.reason == "order_not_open"
    bench.done(CancelOrder(actor("alice"), order_id))
    with pytest.raises(Rejection) as caught:
        bench.do(amend("alice", order_id, quantity="0.5"))
    assert caught.value.reason == "order_not_open"


def test_a_retry_amends_once_and_other_figures_under_its_key_are_refused(bench: Bench) -> None:
    order_id = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    command = amend("alice", order_id, quantity="0.5", key="k")
    bench.done(command)
    before = state_hash(bench.exchange.state)
    assert bench.do(command) == Repeat(bench.exchange.state.batch_number, (order_id,))
    with pytest.raises(Rejection) as caught:
        bench.do(command._replace(quantity=units("0.4")))
    assert caught.value.reason == "idempotency_key_reused"
    with pytest.raises(Rejection):
        bench.do(CancelOrder(actor("alice"), order_id, "k"))
    assert state_hash(bench.exchange.state) == before


def test_a_waiting_order_is_amended_with_its_hold(bench: Bench) -> None:
    stop = placed(bench, trigger("alice", OrderType.STOP, Side.BUY, "105"))
    bench.done(amend("alice", stop, quantity="2"))
    assert bench.money("alice", "USD")[1] == units("214.6284")
    limited = placed(bench, trigger("bob", OrderType.STOP_LIMIT, Side.BUY, "105", price=units("106")))
    bench.done(amend("bob", limited, price="105.6"))
    assert bench.money("bob", "USD")[1] == units("105.8112")
    with pytest.raises(Rejection) as caught:
        bench.do(amend("bob", limited, price="130"))
    assert caught.value.reason == "price_band"
    events = move(bench, "105")
    assert [(trade.buyer.order_id, trade.quantity) for trade in trades(events)] == [
        (stop, 2 * UNIT), (limited, UNIT),
    ]  # fmt: skip


def test_amendments_of_one_order_have_an_end() -> None:
    bench = Bench(limits=Limits(amendments_per_order=2))
    bench.reference("100")
    order_id = placed(bench, bench.limit("alice", Side.BUY, "1", "99"))
    for _ in range(2):
        bench.done(amend("alice", order_id, quantity="1"))
    with pytest.raises(Rejection) as caught:
        bench.do(amend("alice", order_id, quantity="1"))
    assert (caught.value.reason, caught.value.details["limit"]) == ("too_many_amendments", "2")


def test_no_price_beyond_63_bits_is_amended_to_where_the_band_would_let_it() -> None:
    bench = Bench()
    highest = AMOUNT_MAX // COIN_USD.tick * COIN_USD.tick
    bench.do(SetReferencePrice("COIN-USD", highest, "simulator", bench.now, bench.now))
    order_id = placed(bench, bench.limit("alice", Side.SELL, "0.001", "1")._replace(price=highest))
    with pytest.raises(InvalidOrder) as refusal:
        bench.do(AmendOrder(actor("alice"), order_id, price=highest // UNIT + 1, price_scale=0))
    assert (refusal.value.details["field"], refusal.value.details["rule"]) == ("price", "range")
