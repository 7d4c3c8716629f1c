import pytest
from exchange_factory import UNIT, Bench, actor, trades, units
from trading.domain import queries
from trading.domain.commands import CancelOrder
from trading.domain.errors import UnknownMarket
from trading.domain.orders import OrderStatus, Side


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.reference("100")
    return bench


def test_a_users_cursor_moves_with_each_batch_and_event_that_concerns_the_user(bench: Bench) -> None:
    state = bench.exchange.state
    before = queries.user_cursor(state, "alice")
    bench.batch()
    bench.done(bench.limit("bob", Side.BUY, "1", "99"))
    assert queries.user_cursor(state, "alice") == before
    bench.done(bench.limit("alice", Side.SELL, "1", "101"))
    assert queries.user_cursor(state, "alice") == (state.batch_number, before.sequence + 1)
    bench.batch()
    bench.reference("102")
    assert queries.user_cursor(state, "alice") == (state.batch_number, before.sequence + 2)
    bench.batch()
    bench.deposit("alice", "USD", UNIT)
    assert queries.user_cursor(state, "alice") == (state.batch_number, before.sequence + 3)
    assert queries.user_cursor(state, "nobody") == (0, 0)


def test_an_order_is_found_with_its_final_figures_until_its_batch_ends(bench: Bench) -> None:
    state = bench.exchange.state
    (trade,) = trades(bench.done(bench.market("alice", Side.BUY, quantity=UNIT)))
    order = queries.order(state, trade.buyer.order_id)
    assert order is not None
    assert (order.status, order.filled_quantity, order.fees) == (OrderStatus.FILLED, UNIT, trade.buyer.fee)
    bench.batch()
    assert queries.order(state, trade.buyer.order_id) is None


def test_balances_are_sorted_by_asset_and_empty_for_strangers(bench: Bench) -> None:
    state = bench.exchange.state
    bench.done(bench.limit("alice", Side.SELL, "3", "101"))
    shown = queries.balances(state, "alice")
    assert [balance.asset for balance in shown] == ["COIN", "DUST", "USD"]
    assert shown[0] == queries.balance(state, "alice", "COIN") == ("COIN", 97 * UNIT, 3 * UNIT)
    assert queries.balances(state, "nobody") == []
    assert queries.balance(state, "nobody", "USD") == ("USD", 0, 0)


def test_depth_merges_users_and_house_by_price_best_first(bench: Bench) -> None:
    state = bench.exchange.state
    placed = bench.done(bench.limit("alice", Side.BUY, "1", "99.8"))[0]
    bench.done(bench.limit("bob", Side.BUY, "1", "99.7"))
    shown = queries.depth(state, "COIN-USD", 3, time_milliseconds=bench.now)
    assert shown.bids == [(units("99.8"), 3 * UNIT), (units("99.7"), UNIT), (units("99.6"), 2 * UNIT)]
    # Once the reference is stale only users' orders are left.
    stale = queries.depth(state, "COIN-USD", 3, time_milliseconds=bench.now + 3_001)
    assert stale == ([(units("99.8"), UNIT), (units("99.7"), UNIT)], [])
    bench.done(CancelOrder(actor("alice"), placed.order_id))  # type: ignore[union-attr]
    assert queries.depth(state, "COIN-USD", 1, time_milliseconds=bench.now).bids == [(units("99.8"), 2 * UNIT)]
    with pytest.raises(UnknownMarket):
        queries.depth(state, "NONE-USD", 3, time_milliseconds=bench.now)
