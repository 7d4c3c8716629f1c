"""The pause after a jump of the reference: house and orders out, cancels possible, and its end."""

from dataclasses import replace

import pytest
from chassis.errors import ErrorKind
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, trades, units
from trading.domain.commands import CancelOrder, ResumeMarket, SetMarket, SetReferencePrice
from trading.domain.errors import MarketPaused
from trading.domain.events import Event, OrderPlaced, ReferencePriceSet, TradingPaused, TradingResumed
from trading.domain.exchange import Exchange
from trading.domain.market_errors import InvalidMarket
from trading.domain.markets import CircuitBreaker, MarketStatus
from trading.domain.orders import Side
from trading.domain.queries import depth, reference_matters
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot

BREAKER = CircuitBreaker(move_basis_points=500, window_milliseconds=10_000, pause_milliseconds=30_000)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, breaker=BREAKER), "breaker"))
    bench.reference("100")
    return bench


def tick(bench: Bench, price: str, lowest: str = "0", highest: str = "0") -> SetReferencePrice:
    return SetReferencePrice(
        "COIN-USD", units(price), "simulator", bench.now, bench.now, units(lowest), units(highest)
    )  # fmt: skip


def paused(events: list[Event]) -> bool:
    return isinstance(events[0], TradingPaused)


@pytest.mark.parametrize(
    ("price", "pauses"),
    [("104.99", False), ("105", False), ("105.00000001", True), ("95", False), ("94.99999999", True)],
)
def test_the_breaker_trips_beyond_its_move_and_not_on_it(bench: Bench, price: str, *, pauses: bool) -> None:
    assert paused(bench.done(tick(bench, price))) is pauses


@pytest.mark.parametrize(("after", "pauses"), [(10_000, True), (10_001, False)])
def test_the_journals_own_reference_counts_within_the_window(bench: Bench, after: int, *, pauses: bool) -> None:
    bench.batch(after)
    assert paused(bench.done(tick(bench, "110"))) is pauses


def test_ticks_that_the_journal_does_not_hold_count_too(bench: Bench) -> None:
    bench.batch(60_000)
    (pause, reference) = bench.done(tick(bench, "101", lowest="96"))
    assert pause == TradingPaused("COIN-USD", bench.now + 30_000, units("96"), units("101"))
    assert isinstance(reference, ReferencePriceSet)
    assert reference.price == units("101")


def test_during_a_pause_nothing_trades_and_cancels_are_possible(bench: Bench) -> None:
    placed = bench.done(bench.limit("alice", Side.SELL, "1", "101"))[0]
    assert isinstance(placed, OrderPlaced)
    events = bench.done(tick(bench, "106"))
    assert not trades(events)
    for command in (
        bench.market("bob", Side.BUY, quantity=UNIT),
        bench.limit("bob", Side.BUY, "1", "101"),
        bench.limit("bob", Side.BUY, "1", "99", post_only=True),
    ):
        with pytest.raises(MarketPaused) as caught:
            bench.do(command)
        assert (caught.value.kind, caught.value.reason) == (ErrorKind.UNAVAILABLE, "market_paused")
        assert caught.value.details["retry_after_seconds"] == "30"
    assert not trades(bench.done(tick(bench, "107")))
    shown = depth(bench.exchange.state, "COIN-USD", 10, time_milliseconds=bench.now)
    assert [*shown.asks] == [(units("101"), UNIT)]
    assert shown.bids == []
    bench.done(CancelOrder(actor("alice"), placed.order_id))


def test_it_ends_by_itself_and_what_was_crossed_then_fills_at_its_limit(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.SELL, "1", "101"))
    bench.done(tick(bench, "106"))
    bench.batch(29_999)
    with pytest.raises(MarketPaused) as caught:
        bench.do(bench.market("bob", Side.BUY, quantity=UNIT))
    assert caught.value.details["retry_after_seconds"] == "1"
    assert not reference_matters(bench.exchange.state, tick(bench, "106"), time_milliseconds=bench.now)
    bench.batch(1)
    assert reference_matters(bench.exchange.state, tick(bench, "106"), time_milliseconds=bench.now)
    (trade,) = trades(bench.done(tick(bench, "106")))
    assert (trade.price, trade.seller.owner) == (units("101"), "user:alice")
    assert bench.done(bench.market("bob", Side.BUY, quantity=UNIT))


def test_prices_of_before_the_pauses_end_no_longer_count(bench: Bench) -> None:
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, breaker=BREAKER._replace(pause_milliseconds=1_000)), "short"))
    bench.done(tick(bench, "106"))
    bench.batch(500)
    bench.done(tick(bench, "120"))
    bench.batch(500)
    # 100 and 120 are still within the window of 10 s, but nobody could trade on them.
    assert not paused(bench.done(tick(bench, "106.5")))
    assert paused(bench.done(tick(bench, "100")))


def test_an_operator_may_end_it_early(bench: Bench) -> None:
    bench.done(tick(bench, "106"))
    bench.batch(5_000)
    (event,) = bench.done(ResumeMarket(OPERATOR, "COIN-USD", "the news is real"))
    assert event == TradingResumed("COIN-USD", bench.now, OPERATOR, "the news is real")
    assert bench.done(ResumeMarket(OPERATOR, "COIN-USD", "again")) == []
    assert not paused(bench.done(tick(bench, "106")))
    assert bench.done(bench.market("bob", Side.BUY, quantity=UNIT))


def test_without_a_rule_or_where_nothing_trades_there_is_no_pause(bench: Bench) -> None:
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, breaker=BREAKER, status=MarketStatus.CANCEL_ONLY), "incident"))
    assert not paused(bench.done(tick(bench, "110")))
    bench.do(SetMarket(OPERATOR, COIN_USD, "no breaker"))
    assert not paused(bench.done(tick(bench, "130")))


def test_a_pause_is_part_of_snapshot_and_replay(bench: Bench) -> None:
    bench.done(tick(bench, "106"))
    folded = Exchange()
    for event in bench.events:
        folded.apply(event)
    state = bench.exchange.state
    assert state_hash(folded.state) == state_hash(state)
    restored = restore_snapshot(take_snapshot(state))
    assert state_hash(restored) == state_hash(state)
    assert not restored.markets["COIN-USD"].trades_at(bench.now)
    assert restored.markets["COIN-USD"].trades_at(bench.now + 30_000)


@pytest.mark.parametrize("breaker", [(-1, 1, 1), (10_000, 1, 1), (500, 0, 1), (500, 300_001, 1), (500, 1, 3_600_001)])
def test_a_breaker_that_makes_no_sense_is_refused(breaker: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidMarket):
        replace(COIN_USD, breaker=CircuitBreaker(*breaker))
