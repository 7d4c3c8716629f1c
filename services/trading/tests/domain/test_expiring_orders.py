import pytest
from exchange_factory import UNIT, Bench, actor, trades, units
from test_triggers import trigger
from trading.domain.commands import CancelOrder, Continue, ExpireOrders, PlaceOrder, SetReferencePrice
from trading.domain.errors import ExpiriesDue, InvalidOrder, Rejection, UnknownMarket
from trading.domain.events import OrderClosed, OrderPlaced
from trading.domain.expire_orders import EXPIRIES_PER_COMMAND
from trading.domain.invariants import check_all
from trading.domain.orders import CloseReason, OrderStatus, OrderType, Side, TimeInForce
from trading.domain.queries import markets_to_continue, orders_are_due
from trading.domain.snapshot import restore_snapshot, take_snapshot
from trading.domain.state import Limits


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.reference("100")
    return bench


def until(bench: Bench, user: str, milliseconds: int, price: str = "99", quantity: str = "1") -> PlaceOrder:
    return bench.limit(
        user, Side.BUY, quantity, price, time_in_force=TimeInForce.GTD, expires_milliseconds=bench.now + milliseconds
    )


def placed(bench: Bench, command: PlaceOrder) -> str:
    return next(event.order_id for event in bench.done(command) if isinstance(event, OrderPlaced))


def test_an_order_rests_until_its_last_moment_and_then_its_hold_is_free(bench: Bench) -> None:
    before = bench.money("alice", "USD")
    order_id = placed(bench, until(bench, "alice", 100))
    assert orders_are_due(bench.exchange.state, bench.now + 100)
    assert not orders_are_due(bench.exchange.state, bench.now + 99)
    bench.batch(99)
    assert bench.done(ExpireOrders()) == []
    bench.batch(1)
    (closed,) = bench.done(ExpireOrders())
    assert isinstance(closed, OrderClosed)
    assert (closed.order_id, closed.status, closed.reason, closed.actor) == (
        order_id, OrderStatus.EXPIRED, CloseReason.EXPIRED, None,
    )  # fmt: skip
    assert bench.money("alice", "USD") == before
    assert not orders_are_due(bench.exchange.state, 2**62)


def test_nothing_trades_while_an_expiry_is_due(bench: Bench) -> None:
    order_id = placed(bench, until(bench, "alice", 100, price="99.9"))
    bench.batch(100)
    for command in (
        bench.limit("bob", Side.SELL, "1", "99.9"),
        bench.market("bob", Side.SELL, quantity=UNIT),
        SetReferencePrice("COIN-USD", 99 * UNIT, "simulator", bench.now, bench.now),
    ):
        with pytest.raises(ExpiriesDue):
            bench.do(command)
    bench.done(ExpireOrders())
    bench.reference("99.9")
    assert all(
        trade.buyer.order_id != order_id for trade in trades(bench.done(bench.market("bob", Side.SELL, quantity=UNIT)))
    )


def test_cancels_go_on_while_an_expiry_is_due(bench: Bench) -> None:
    order_id = placed(bench, until(bench, "alice", 100))
    bench.batch(100)
    bench.done(CancelOrder(actor("alice"), order_id))
    assert bench.done(ExpireOrders()) == []


def test_the_soonest_expire_first_and_a_command_closes_a_bounded_number() -> None:
    users = ("alice", "bob", "carol")
    bench = Bench(users=users, check=False)
    bench.reference("100")
    late = [
        placed(bench, until(bench, users[number % 3], 60, quantity="0.02")) for number in range(EXPIRIES_PER_COMMAND)
    ]
    early = [placed(bench, until(bench, user, 50, quantity="0.02")) for user in users]
    bench.batch(60)
    first = [event.order_id for event in bench.done(ExpireOrders()) if isinstance(event, OrderClosed)]
    assert first == [*early, *late[:-3]]
    assert [event.order_id for event in bench.done(ExpireOrders()) if isinstance(event, OrderClosed)] == late[-3:]
    bench.assert_sound()


def test_expiries_can_be_closed_in_one_market_alone() -> None:
    bench = Bench()
    bench.reference("100")
    order_id = placed(bench, until(bench, "alice", 100))
    bench.batch(100)
    with pytest.raises(UnknownMarket):
        bench.do(ExpireOrders("NO-USD"))
    assert check_all(restore_snapshot(take_snapshot(bench.exchange.state))) == []
    (closed,) = bench.done(ExpireOrders("COIN-USD"))
    assert isinstance(closed, OrderClosed)
    assert closed.order_id == order_id
    bench.assert_sound()


@pytest.mark.parametrize("milliseconds", [0, -1])
def test_an_expiry_that_is_not_in_the_future_is_refused(bench: Bench, milliseconds: int) -> None:
    with pytest.raises(Rejection) as caught:
        bench.do(until(bench, "alice", milliseconds))
    assert caught.value.reason == "expiry_in_past"
    assert (caught.value.details["field"], caught.value.details["limit"]) == ("expires_at", "1970-01-01T00:16:40.000Z")
    with pytest.raises(Rejection) as caught:
        bench.do(
            trigger("alice", OrderType.STOP, Side.SELL, "95", time_in_force=TimeInForce.GTD,
                    expires_milliseconds=bench.now)
        )  # fmt: skip
    assert caught.value.reason == "expiry_in_past"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"expires_milliseconds": 0}, "required"),
        ({"expires_milliseconds": 2**63}, "range"),
        ({"expires_milliseconds": -5}, "range"),
        ({"time_in_force": TimeInForce.GTC}, "only_for_gtd"),
        ({"time_in_force": TimeInForce.IOC}, "only_for_gtd"),
    ],
)
def test_an_expiry_belongs_to_gtd_and_to_nothing_else(bench: Bench, change: dict[str, object], rule: str) -> None:
    with pytest.raises(InvalidOrder) as caught:
        bench.do(until(bench, "alice", 100)._replace(**change))
    assert (caught.value.details["field"], caught.value.details["rule"]) == ("expires_at", rule)


def test_a_waiting_order_expires_without_having_been_triggered(bench: Bench) -> None:
    order_id = placed(
        bench,
        trigger("alice", OrderType.STOP, Side.SELL, "95", time_in_force=TimeInForce.GTD,
                expires_milliseconds=bench.now + 5),
    )  # fmt: skip
    bench.batch(5)
    (closed,) = bench.done(ExpireOrders())
    assert isinstance(closed, OrderClosed)
    assert (closed.order_id, closed.status) == (order_id, OrderStatus.EXPIRED)
    bench.reference("94")
    assert markets_to_continue(bench.exchange.state) == []


def test_an_order_that_expires_while_it_still_takes_takes_no_more() -> None:
    bench = Bench(limits=Limits(fills_per_command=1))
    bench.reference("100")
    for _ in range(3):
        bench.done(bench.limit("bob", Side.SELL, "1", "100"))
    order_id = placed(bench, until(bench, "alice", 10, price="100", quantity="3"))
    bench.batch(10)
    with pytest.raises(ExpiriesDue):
        bench.do(Continue("COIN-USD"))
    (closed,) = bench.done(ExpireOrders())
    assert isinstance(closed, OrderClosed)
    assert closed.order_id == order_id
    bench.done(Continue("COIN-USD"))
    assert markets_to_continue(bench.exchange.state) == []
    assert bench.money("alice", "COIN")[0] == 101 * UNIT


def test_a_gtd_order_takes_like_any_other_and_is_forgotten_when_filled(bench: Bench) -> None:
    assert len(trades(bench.done(until(bench, "alice", 100, price="100.2")))) == 1
    assert not orders_are_due(bench.exchange.state, 2**62)
    assert bench.exchange.state.owners["user:alice"].orders == {}
    assert units("0") == bench.money("alice", "USD")[1]
