"""How far an order may be from the reference price: one tick inside, on the limit, one tick outside."""

import pytest
from exchange_factory import UNIT, Bench, trades, units
from trading.domain.errors import NoLiquidity, OutsidePriceBand
from trading.domain.orders import Side


@pytest.fixture
def bench() -> Bench:
    """Band 10 %, slippage cap 2 %, tick 0.1; the reference off the tick, so that the limits are rounded inwards."""
    bench = Bench(users=("alice", "bob", "carol"))
    bench.reference("100.03")
    return bench


# 100.03 x 0.9 = 90.027 and 100.03 x 1.1 = 110.033.
@pytest.mark.parametrize(
    ("side", "price"), [(Side.BUY, "90.1"), (Side.BUY, "90.2"), (Side.SELL, "110"), (Side.SELL, "109.9")]
)
def test_a_price_on_the_bands_edge_or_inside_is_taken(bench: Bench, side: Side, price: str) -> None:
    assert bench.done(bench.limit("alice", side, "1", price))


@pytest.mark.parametrize(("price", "nearest"), [("90", "90.1"), ("110.1", "110"), ("0.1", "90.1"), ("9999.9", "110")])
def test_a_price_one_tick_outside_the_band_is_refused_with_the_nearest(bench: Bench, price: str, nearest: str) -> None:
    for side in Side:
        with pytest.raises(OutsidePriceBand) as caught:
            bench.do(bench.limit("alice", side, "20", price))
        assert (caught.value.details["limit"], caught.value.details["nearest"]) == ("90.1..110", nearest)


# The house is taken up to 100.4, 100.6, 100.8 (bids 99.8, 99.6, 99.4); the cap is 102.0306 and 98.0294.
@pytest.mark.parametrize(
    ("side", "price", "reached"),
    [
        (Side.BUY, "101.9", True),
        (Side.BUY, "102", True),
        (Side.BUY, "102.1", False),
        (Side.SELL, "98.2", True),
        (Side.SELL, "98.1", True),
        (Side.SELL, "98", False),
    ],
)
def test_a_market_order_walks_exactly_to_the_slippage_cap(
    bench: Bench, side: Side, price: str, *, reached: bool
) -> None:
    other = Side.SELL if side is Side.BUY else Side.BUY
    bench.done(bench.limit("bob", other, "1", price))
    found = trades(bench.done(bench.market("alice", side, quantity=10 * UNIT)))
    assert sum(trade.quantity for trade in found) == (7 if reached else 6) * UNIT
    assert (found[-1].price == units(price)) is reached


def test_what_stands_beyond_the_cap_is_no_liquidity(bench: Bench) -> None:
    for _ in range(2):
        bench.done(bench.market("carol", Side.BUY, quantity=6 * UNIT))
        bench.batch(60_000)
        bench.reference("100.03")
    bench.done(bench.market("carol", Side.BUY, quantity=3 * UNIT))
    bench.done(bench.limit("bob", Side.SELL, "1", "102.1"))
    with pytest.raises(NoLiquidity) as caught:
        bench.do(bench.market("alice", Side.BUY, quantity=UNIT))
    assert caught.value.details["limit"] == "102"
