from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, product
from math import log, sqrt
from statistics import fmean, pstdev

import pytest
from market_data.domain.assets import ASSETS, Asset
from market_data.domain.price_path import BOTTOM_LEVEL, LEAF_LEVEL, Noise, PricePath
from market_data.domain.simulator import CHARACTERS, DAY_MILLISECONDS, SimulatedMarket, ordinary_character

NOON = datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)
SYMBOLS = [asset.symbol for asset in ASSETS]


def prices_of(market: SimulatedMarket, symbol: str, *, step: timedelta, count: int) -> list[Decimal]:
    asset = market.assets[SYMBOLS.index(symbol)]
    return [asset.price_at(NOON + step * turn) for turn in range(count)]


def log_returns(prices: list[Decimal]) -> list[float]:
    return [log(after / before) for before, after in pairwise(prices)]


def correlation(one: list[float], other: list[float]) -> float:
    mean_one, mean_other = fmean(one), fmean(other)
    covariance = fmean((a - mean_one) * (b - mean_other) for a, b in zip(one, other, strict=True))
    return covariance / pstdev(one) / pstdev(other)


def test_all_twenty_assets_have_a_character() -> None:
    assert len(ASSETS) == 20
    assert set(SYMBOLS) == set(CHARACTERS)


def test_a_restart_continues_where_the_clock_is() -> None:
    before = SimulatedMarket(seed="a")
    for second in range(10):
        before.quotes_at(NOON + timedelta(seconds=second))
    moment = NOON + timedelta(seconds=10)
    assert SimulatedMarket(seed="a").quotes_at(moment) == before.quotes_at(moment)


def test_another_seed_is_another_market() -> None:
    one, other = SimulatedMarket(seed="a"), SimulatedMarket(seed="b")
    assert prices_of(one, "BTC", step=timedelta(hours=1), count=5) != prices_of(
        other, "BTC", step=timedelta(hours=1), count=5
    )


def test_a_price_is_the_same_whatever_was_asked_before() -> None:
    asset = SimulatedMarket(seed="a").assets[0]
    first = asset.price_at(NOON)
    asset.price_at(NOON + timedelta(days=400))
    asset.price_at(NOON - timedelta(days=400))
    assert asset.price_at(NOON) == first


def test_prices_are_positive_and_stay_near_their_base_for_years() -> None:
    market = SimulatedMarket(seed="years")
    for symbol in SYMBOLS:
        base = CHARACTERS[symbol].base_price
        for price in prices_of(market, symbol, step=timedelta(days=9), count=400):
            assert base / 20 < price < base * 20


@pytest.mark.parametrize("symbol", ["BTC", "ETH", "DOGE", "OP"])
@pytest.mark.parametrize(("step", "count"), [(timedelta(minutes=1), 4000), (timedelta(hours=4), 3000)])
def test_volatility_is_what_the_character_says_at_every_scale(symbol: str, step: timedelta, count: int) -> None:
    returns = log_returns(prices_of(SimulatedMarket(seed="volatility"), symbol, step=step, count=count))
    annual = pstdev(returns) * sqrt(timedelta(days=365) / step)
    assert annual == pytest.approx(CHARACTERS[symbol].volatility, rel=0.15)


def test_assets_move_with_the_market_as_much_as_their_character_says() -> None:
    market = SimulatedMarket(seed="correlation")
    bitcoin = log_returns(prices_of(market, "BTC", step=timedelta(hours=1), count=3000))
    for symbol in ("ETH", "XRP"):
        other = log_returns(prices_of(market, symbol, step=timedelta(hours=1), count=3000))
        expected = CHARACTERS["BTC"].correlation * CHARACTERS[symbol].correlation
        assert correlation(bitcoin, other) == pytest.approx(expected, abs=0.08)


def test_returns_do_not_foretell_each_other() -> None:
    returns = log_returns(prices_of(SimulatedMarket(seed="memory"), "BTC", step=timedelta(seconds=61), count=4000))
    assert abs(correlation(returns[:-1], returns[1:])) < 0.06


def test_no_second_jumps() -> None:
    market = SimulatedMarket(seed="jumps")
    for symbol in ("BTC", "OP"):
        second_deviation = CHARACTERS[symbol].volatility * sqrt(1 / (365 * 86_400))
        tick = Decimal(1).scaleb(-ASSETS[SYMBOLS.index(symbol)].price_places)
        prices = prices_of(market, symbol, step=timedelta(seconds=1), count=20_000)
        rounding = float(tick / min(prices))
        assert max(abs(move) for move in log_returns(prices)) < 8 * second_deviation + rounding


def test_crossing_an_outermost_knot_is_no_jump() -> None:
    asset = SimulatedMarket(seed="knot").assets[0]
    knot = datetime.fromtimestamp(((1_790_000_000_000 >> 33) + 1 << 33) / 1000, tz=UTC)
    before, after = (
        asset.price_at(knot - timedelta(milliseconds=500)),
        asset.price_at(knot + timedelta(milliseconds=500)),
    )
    assert abs(log(after / before)) < 0.001


def test_prices_change_from_second_to_second() -> None:
    for symbol in SYMBOLS:
        prices = prices_of(SimulatedMarket(seed="alive"), symbol, step=timedelta(seconds=1), count=600)
        assert sum(before != after for before, after in pairwise(prices)) > 100


def test_day_statistics_equal_brute_force_over_the_same_walk() -> None:
    market = SimulatedMarket(seed="statistics")
    leaf = timedelta(milliseconds=1 << LEAF_LEVEL)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    asset = market.assets[SYMBOLS.index("DOGE")]
    first = NOON - timedelta(days=1)
    moments = [first, NOON]
    moment = epoch + ((first - epoch) // leaf + 1) * leaf
    while moment <= NOON:
        moments.append(moment)
        moment += leaf
    prices = [asset.price_at(moment) for moment in moments]
    quote = asset.quote_at(NOON)
    assert quote.high_24h == max(prices)
    assert quote.low_24h == min(prices)
    assert quote.price == prices[1]
    assert quote.change_24h == ((prices[1] - prices[0]) / prices[0] * 100).quantize(Decimal("0.01"))


def test_day_statistics_hold_the_price_at_any_moment() -> None:
    market = SimulatedMarket(seed="hull")
    for turn in range(60):
        for quote in market.quotes_at(NOON + timedelta(milliseconds=777 * turn)):
            assert 0 < quote.low_24h <= quote.price <= quote.high_24h
            assert quote.volume_24h > 0


def test_extremes_equal_brute_force_for_short_and_odd_windows() -> None:
    path = PricePath(
        market=Noise(seed="x", stream="m"), own=Noise(seed="x", stream="o"), volatility=0.8, correlation=0.7
    )
    lengths = (0, 1, 300, 389, 512, 1024, 5_000, 65_536, 300_001)
    for start, length in product(range(1_790_000_000_123, 1_790_000_100_000, 9_001), lengths):
        points = [start, start + length]
        points += range(-(-start >> LEAF_LEVEL) << LEAF_LEVEL, start + length + 1, 1 << LEAF_LEVEL)
        values = [path.at(point) for point in points]
        assert path.extremes(start, start + length) == (min(values), max(values))


def test_the_walk_has_no_corner_to_fall_off_between_two_points() -> None:
    path = PricePath(
        market=Noise(seed="x", stream="m"), own=Noise(seed="x", stream="o"), volatility=0.8, correlation=0.7
    )
    start = 1_790_000_000_000
    values = [path.at(start + millisecond) for millisecond in range(3 << BOTTOM_LEVEL)]
    assert max(abs(after - before) for before, after in pairwise(values)) < 1e-6


def test_turnover_follows_movement_and_changes_smoothly() -> None:
    asset = SimulatedMarket(seed="turnover").assets[0]
    turnovers = [asset.quote_at(NOON + timedelta(seconds=second)).volume_24h for second in range(0, 3600, 60)]
    typical = CHARACTERS["BTC"].daily_turnover
    assert all(typical * Decimal("0.6") < turnover < typical * Decimal("1.6") for turnover in turnovers)
    assert max(abs(after - before) for before, after in pairwise(turnovers)) < typical * Decimal("0.005")
    assert len(set(turnovers)) > 50


def test_source_time_is_the_moment_asked_for_in_whole_milliseconds() -> None:
    quote = SimulatedMarket(seed="a").assets[0].quote_at(NOON + timedelta(microseconds=999))
    assert quote.source_time == NOON
    assert timedelta(days=1) // timedelta(milliseconds=1) == DAY_MILLISECONDS


def test_a_further_asset_moves_around_its_price_and_leaves_the_others_as_they_are() -> None:
    tron = Asset("TRX", "TRON", 5, "tron")
    characters = {**CHARACTERS, "TRX": ordinary_character(Decimal("0.25"))}
    market = SimulatedMarket(seed="a", assets=(*ASSETS, tron), characters=characters)
    *known, further = market.quotes_at(NOON)
    assert known == SimulatedMarket(seed="a").quotes_at(NOON)
    assert further.symbol == "TRX"
    assert Decimal("0.05") < further.price < Decimal("1.25")
    assert further.low_24h <= further.price <= further.high_24h
