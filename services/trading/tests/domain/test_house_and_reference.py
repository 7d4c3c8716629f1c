from dataclasses import replace

import pytest
from chassis.errors import ErrorKind
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, trades, units
from trading.domain.commands import SetMarket, SetReferencePrice
from trading.domain.errors import InvalidReferencePrice, NoLiquidity, StalePrice
from trading.domain.markets import MarketStatus
from trading.domain.orders import Liquidity, Side
from trading.domain.queries import depth, reference_matters


@pytest.fixture
def bench() -> Bench:
    bench = Bench(users=("alice", "bob"))
    bench.reference("100")
    return bench


def shown(bench: Bench) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    seen = depth(bench.exchange.state, "COIN-USD", 10, time_milliseconds=bench.now)
    return [*seen.bids], [*seen.asks]


def test_the_house_quotes_a_ladder_around_the_reference_rounded_outwards(bench: Bench) -> None:
    bench.reference("100.01")
    bids, asks = shown(bench)
    assert bids == [(units("99.8"), 2 * UNIT), (units("99.6"), 2 * UNIT), (units("99.4"), 2 * UNIT)]
    assert asks == [(units("100.3"), 2 * UNIT), (units("100.5"), 2 * UNIT), (units("100.7"), 2 * UNIT)]


def test_depth_that_was_taken_comes_back_with_journal_time(bench: Bench) -> None:
    bench.done(bench.market("alice", Side.BUY, quantity=3 * UNIT))
    assert shown(bench)[1] == [(units("100.4"), UNIT), (units("100.6"), 2 * UNIT)]
    bench.batch(1_000)
    bench.reference("100")
    assert shown(bench)[1] == [(units("100.4"), UNIT + UNIT // 2), (units("100.6"), 2 * UNIT)]
    bench.batch(60_000)
    bench.reference("100")
    assert shown(bench)[1][0] == (units("100.2"), 2 * UNIT)


def test_the_house_never_passes_its_inventory_limit(bench: Bench) -> None:
    bought = 0
    # Two full ladders of 6 and a last one cut to what the limit leaves.
    for left in (6, 6, 3):
        bought += sum(
            trade.quantity for trade in trades(bench.done(bench.market("alice", Side.BUY, quantity=left * UNIT)))
        )
        bench.batch(60_000)
        bench.reference("100")
    with pytest.raises(NoLiquidity):
        bench.do(bench.market("alice", Side.BUY, quantity=UNIT))
    assert bought == COIN_USD.house.inventory_limit
    assert shown(bench)[1] == []
    assert shown(bench)[0]


def test_a_resting_order_that_the_reference_crosses_fills_as_maker_at_its_limit(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    for price, crosses in (("98", True), ("99", False)):
        tick = SetReferencePrice("COIN-USD", units(price), "simulator", bench.now, bench.now)
        assert reference_matters(bench.exchange.state, tick, time_milliseconds=bench.now) is crosses
    (trade,) = trades(bench.reference("98"))
    assert (trade.price, trade.buyer.liquidity, trade.seller.owner) == (99 * UNIT, Liquidity.MAKER, "house")
    assert trade.buyer.fee == units("0.099")
    assert trade.taker_side is Side.SELL


def test_what_the_reference_crosses_is_bounded_by_the_ladders_depth(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.BUY, "5", "99"))
    bench.done(bench.limit("bob", Side.BUY, "5", "98.7"))
    # Asks of 98.7, 98.9 and 99.1: two levels reach the first order, then nothing is left for the second.
    assert [(trade.buyer.owner, trade.quantity) for trade in trades(bench.reference("98.5"))] == [
        ("user:alice", 4 * UNIT)
    ]
    bids, asks = shown(bench)
    assert bids[0] == (units("99"), UNIT)
    assert asks[0][0] > bids[0][0]


def test_house_quotes_are_clipped_so_that_they_never_cross_a_users_order(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.SELL, "1", "100"))
    bench.batch(3_500)
    bench.done(bench.limit("bob", Side.SELL, "30", "99.9"))
    # The whole ladder buys from them and is used up; what refills since would bid far above the orders that are left.
    assert len(trades(bench.reference("104"))) == 1
    bench.batch(2_000)
    bids, asks = shown(bench)
    assert bids == [(units("99.8"), UNIT)]
    assert asks[0] == (units("99.9"), 24 * UNIT)


@pytest.mark.parametrize(("silence", "source_age"), [(3_001, 0), (0, 3_001)])
def test_a_stale_reference_refuses_market_orders_and_lets_limit_orders_rest(silence: int, source_age: int) -> None:
    bench = Bench()
    bench.batch(10_000)
    bench.done(SetReferencePrice("COIN-USD", 100 * UNIT, "simulator", bench.now - source_age, bench.now))
    bench.batch(silence)
    with pytest.raises(StalePrice) as caught:
        bench.do(bench.market("alice", Side.BUY, quantity=UNIT))
    assert (caught.value.kind, caught.value.reason) == (ErrorKind.UNAVAILABLE, "stale_price")
    assert (caught.value.details["limit"], caught.value.details["given"]) == ("3000", "3001")
    assert not trades(bench.done(bench.limit("alice", Side.BUY, "1", "101")))
    assert len(trades(bench.done(bench.limit("bob", Side.SELL, "1", "101")))) == 1


def test_exactly_at_the_age_limit_a_reference_still_counts(bench: Bench) -> None:
    bench.batch(3_000)
    assert trades(bench.done(bench.market("alice", Side.BUY, quantity=UNIT)))


@pytest.mark.parametrize("source", ["simulator", "coingecko"])
def test_a_stream_that_says_nothing_for_longer_than_its_limit_is_dead_whatever_its_source_allows(source: str) -> None:
    bench = Bench()
    bench.reference("100", source=source)
    bench.batch(3_000)
    assert shown(bench)[1]
    assert trades(bench.done(bench.market("alice", Side.BUY, quantity=UNIT)))
    bench.batch(1)
    assert shown(bench)[1] == []
    with pytest.raises(StalePrice):
        bench.do(bench.market("alice", Side.BUY, quantity=UNIT))


def test_a_polled_source_may_be_older_and_has_a_wider_spread(bench: Bench) -> None:
    bench.batch(200_000)
    bench.done(SetReferencePrice("COIN-USD", 100 * UNIT, "coingecko", bench.now - 119_000, bench.now))
    assert shown(bench)[1][0][0] == units("100.4")
    # What is shown is what is paid.
    (trade,) = trades(bench.done(bench.market("alice", Side.BUY, quantity=UNIT)))
    assert trade.price == units("100.4")
    (trade,) = trades(bench.done(bench.market("alice", Side.SELL, quantity=UNIT)))
    assert trade.price == units("99.6")


def test_without_any_reference_no_order_is_taken() -> None:
    bench = Bench()
    with pytest.raises(StalePrice):
        bench.do(bench.limit("alice", Side.BUY, "1", "99"))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"source": "forged"}, "source"),
        ({"price": 0}, "range"),
        ({"price": 2**63}, "range"),
        ({"received_milliseconds": 10**12}, "time"),
        ({"source_milliseconds": 10**12}, "time"),
        ({"received_milliseconds": 1}, "order"),
    ],
)
def test_a_reference_that_cannot_be_true_is_refused(bench: Bench, change: dict[str, object], rule: str) -> None:
    good = SetReferencePrice("COIN-USD", 100 * UNIT, "simulator", bench.now, bench.now)
    with pytest.raises(InvalidReferencePrice) as caught:
        bench.do(good._replace(**change))  # type: ignore[arg-type]
    assert caught.value.details["rule"] == rule


def test_a_market_in_cancel_only_fills_nothing_when_the_reference_crosses(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, status=MarketStatus.CANCEL_ONLY), "incident"))
    assert not trades(bench.reference("95"))
