"""Whatever happens around it, the house stays within its inventory, crosses nobody and goes last at a price."""

from dataclasses import replace

from chassis.errors import ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trading.domain.commands import SetMarket
from trading.domain.orders import Side
from trading.domain.queries import depth

LIMIT = 3 * UNIT
RULES = replace(COIN_USD, house=replace(COIN_USD.house, inventory_limit=LIMIT, refill_per_second=50 * UNIT))
SLICES = st.tuples(
    st.sampled_from(("buy", "sell", "bid", "ask", "tick", "tick")),
    st.integers(1, 40),  # quantity in tenths of a coin
    st.integers(-25, 25),  # ticks away from 100
    st.sampled_from((0, 0, 100, 1_000, 2_900)),  # milliseconds
)


@given(steps=st.lists(SLICES, min_size=10, max_size=60))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_sequence_takes_the_house_beyond_its_limits(steps: list[tuple[str, int, int, int]]) -> None:
    bench = Bench(users=("alice", "bob"))  # checks every invariant after every command
    bench.do(SetMarket(OPERATOR, RULES, "small"))
    bench.reference("100")
    state = bench.exchange.state
    for number, (what, tenths, ticks, milliseconds) in enumerate(steps):
        if milliseconds:
            bench.batch(milliseconds)
        price = f"{100 + ticks / 10:.1f}"
        user = ("alice", "bob")[number % 2]
        try:
            if what == "tick":
                bench.reference(price)
            elif what in {"buy", "sell"}:
                bench.do(bench.market(user, Side(what), quantity=tenths * UNIT // 10))
            else:
                side = Side.BUY if what == "bid" else Side.SELL
                bench.do(bench.limit(user, side, f"{tenths / 10:.1f}", price))
        except ServiceError:
            continue
        position = state.markets["COIN-USD"].house_position
        assert abs(position) <= LIMIT
        book = depth(state, "COIN-USD", 50, time_milliseconds=bench.now)
        if book.bids and book.asks:
            assert book.bids[0].price < book.asks[0].price


def test_the_limit_is_reached_and_not_passed() -> None:
    bench = Bench(users=("alice", "bob"))
    bench.do(SetMarket(OPERATOR, RULES, "small"))
    bench.reference("100")
    bench.do(bench.market("alice", Side.BUY, quantity=5 * UNIT))
    assert bench.exchange.state.markets["COIN-USD"].house_position == -LIMIT
    bench.batch(1_000)
    bench.reference("100")
    bench.do(bench.limit("bob", Side.BUY, "2", "99.9"))
    bench.do(bench.limit("bob", Side.BUY, "2", "99"))
    # The reference falls below both bids; the house has nothing left to sell them.
    bench.reference("98")
    assert bench.exchange.state.markets["COIN-USD"].house_position == -LIMIT
    bench.do(bench.market("alice", Side.SELL, quantity=3 * UNIT))
    assert bench.money("bob", "USD")[1] > 0
