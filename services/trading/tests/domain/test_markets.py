from dataclasses import replace
from uuid import UUID

import pytest
from chassis.errors import ErrorKind
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, units
from trading.domain.commands import CancelAll, SetAsset, SetMarket
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.errors import IdempotencyKeyReused, TooManyOpenOrders
from trading.domain.events import KeyUsed, MarketSet
from trading.domain.identifiers import order_id, trade_id, transfer_id
from trading.domain.market_errors import InvalidMarket, MarketChanged, MarketChangeRefused
from trading.domain.markets import Asset, Market
from trading.domain.orders import LIFE, TERMINAL, OrderStatus, OrderStep, Side
from trading.domain.outcomes import Repeat


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lot", 1), ("tick", 0), ("maximum_quantity", 150), ("taker_fee_basis_points", -1), ("quote", "COIN"),
        ("slippage_cap_basis_points", 10_000), ("base", "coin"), ("quote_scale", 9), ("price_band_basis_points", 0),
    ],
)  # fmt: skip
def test_a_market_whose_rules_contradict_each_other_cannot_be_made(field: str, value: object) -> None:
    with pytest.raises(InvalidMarket):
        replace(COIN_USD, **{field: value})  # type: ignore[arg-type]


def test_there_are_twenty_default_markets_with_exact_notionals() -> None:
    markets = default_markets()
    assert len(markets) == 20
    assert {market.base for market in markets} | {"USD"} == {asset.code for asset in default_assets()}
    for market in markets:
        assert market.tick * market.lot % market.base_unit == 0
        assert market.notional(market.tick, market.lot) >= 1
        assert market.price_from_text(market.price_text(market.tick)) == market.tick


def test_tick_and_lot_stay_while_orders_are_open() -> None:
    bench = Bench()
    bench.reference("100")
    bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    coarser = {"tick": 2 * COIN_USD.tick, "lot": 2 * COIN_USD.lot}
    for field, step in coarser.items():
        with pytest.raises(MarketChangeRefused) as caught:
            bench.do(SetMarket(OPERATOR, replace(COIN_USD, **{field: step}), "coarser"))  # type: ignore[arg-type]
        assert caught.value.details["field"] == field
    assert bench.done(SetMarket(OPERATOR, replace(COIN_USD, taker_fee_basis_points=500), "dearer"))
    bench.done(CancelAll(actor("alice")))
    assert bench.done(SetMarket(OPERATOR, replace(COIN_USD, **coarser), "coarser"))  # type: ignore[arg-type]


def test_fees_of_an_open_order_are_those_it_was_placed_with() -> None:
    bench = Bench()
    bench.reference("100")
    bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, maker_fee_basis_points=500), "dearer"))
    bench.reference("98.9")
    bench.done(bench.limit("bob", Side.SELL, "1", "99"))
    assert bench.money("alice", "USD") == (units("9900.901"), 0)


def test_setting_what_already_is_writes_nothing() -> None:
    bench = Bench()
    assert bench.done(SetMarket(OPERATOR, COIN_USD, "again")) == []
    with pytest.raises(MarketChangeRefused):
        bench.do(SetAsset(OPERATOR, Asset("COIN", "Coin", 7), "other scale"))


def test_nothing_follows_a_terminal_state_and_every_other_state_has_a_way_out() -> None:
    for status in OrderStatus:
        steps = [step for step in OrderStep if (status, step) in LIFE]
        assert bool(steps) is (status not in TERMINAL)


def test_ids_have_the_layout_of_version_7_and_sort_by_age() -> None:
    made = [order_id(1_000, 1), order_id(1_000, 2), order_id(1_000, 2**40), order_id(1_001, 3)]
    assert made == sorted(made)
    for identifier in (*made, trade_id(1_000, 1), transfer_id(1_000, 1)):
        assert UUID(identifier).version == 7
        assert UUID(identifier).variant == "specified in RFC 4122"
        assert str(UUID(identifier)) == identifier
    assert len({order_id(1_000, 1), trade_id(1_000, 1), transfer_id(1_000, 1)}) == 3


def test_a_change_of_a_market_that_was_changed_meanwhile_is_refused() -> None:
    bench = Bench()
    dearer, cheaper = (replace(COIN_USD, taker_fee_basis_points=fee) for fee in (500, 5))
    (event,) = bench.done(SetMarket(OPERATOR, dearer, "dearer", expected_version=1))
    assert isinstance(event, MarketSet)
    assert event.version == bench.exchange.state.markets["COIN-USD"].version == 2
    with pytest.raises(MarketChanged) as caught:
        bench.do(SetMarket(OPERATOR, cheaper, "cheaper", expected_version=1))
    assert (caught.value.kind, caught.value.details["limit"]) == (ErrorKind.CONFLICT, "2")
    assert bench.done(SetMarket(OPERATOR, cheaper, "cheaper", expected_version=2))


def test_a_change_with_a_key_happens_once_and_other_contents_are_refused() -> None:
    bench = Bench()
    change = SetMarket(OPERATOR, replace(COIN_USD, taker_fee_basis_points=500), "dearer", 1, "key-1")
    first = bench.done(change)
    assert [type(event) for event in first] == [MarketSet, KeyUsed]
    assert bench.do(change) == Repeat(bench.exchange.state.batch_number)
    with pytest.raises(IdempotencyKeyReused):
        bench.do(change._replace(market=COIN_USD))


def test_the_houses_limit_is_not_set_below_its_position() -> None:
    bench = Bench()
    bench.reference("100")
    bench.done(bench.market("alice", Side.BUY, quantity=3 * UNIT))
    for limit, allowed in ((3 * UNIT, True), (3 * UNIT - COIN_USD.lot, False)):
        market = replace(COIN_USD, house=replace(COIN_USD.house, inventory_limit=limit))
        if allowed:
            bench.done(SetMarket(OPERATOR, market, "less risk"))
            continue
        with pytest.raises(MarketChangeRefused) as caught:
            bench.do(SetMarket(OPERATOR, market, "less risk"))
        assert caught.value.details["field"] == "house.inventory_limit"
        bench.done(SetMarket(OPERATOR, replace(market, house=replace(market.house, levels=0)), "no house"))


def test_the_limit_of_open_orders_is_the_markets() -> None:
    bench = Bench()
    bench.do(SetMarket(OPERATOR, replace(COIN_USD, maximum_open_orders=2), "few"))
    bench.reference("100")
    bench.reference("0.01", "DUST-USD")
    for _ in range(2):
        bench.done(bench.limit("alice", Side.BUY, "1", "99"))
        bench.done(bench.limit("alice", Side.BUY, "5", "0.0099", market="DUST-USD"))
    with pytest.raises(TooManyOpenOrders) as caught:
        bench.do(bench.limit("alice", Side.BUY, "1", "99"))
    assert caught.value.details == {"rule": "max_open_orders", "limit": "2", "given": "3", "market": "COIN-USD"}
    assert bench.done(bench.limit("alice", Side.BUY, "5", "0.0099", market="DUST-USD"))
    assert bench.done(bench.limit("bob", Side.BUY, "1", "99"))


# Real prices of 16 February 2024 where there are some, else about what the asset was worth that year; in USD.
PRICES = {
    "BTC": "52200", "ETH": "2852.79", "SOL": "114.02", "XRP": "0.567", "ADA": "0.597", "DOGE": "0.0858", "DOT": "7.78",
    "AVAX": "41.3", "LINK": "19.94", "LTC": "70.4", "BCH": "270", "XLM": "0.116", "UNI": "7.4", "ATOM": "10.2",
    "ETC": "27.2", "FIL": "5.8", "NEAR": "3.4", "APT": "9.6", "ARB": "2.05", "OP": "3.8",
}  # fmt: skip


@pytest.mark.parametrize("market", default_markets(), ids=lambda market: market.symbol)
def test_default_rules_fit_real_prices(market: Market) -> None:
    price = units(PRICES[market.base])
    ladder = market.notional(price, market.house.levels * market.house.level_quantity)
    # A tick is fine enough for the house's spread of 5 basis points and its steps.
    assert market.tick * 10_000 <= 5 * price
    # The smallest order is some lots, so that a lot's rounding is no tenth of it.
    assert 10 * market.notional(price, market.lot) <= market.minimum_notional == units("1")
    assert units("100000") <= market.notional(price, market.maximum_quantity) <= units("1500000")
    assert market.maximum_quantity <= market.house.levels * market.house.level_quantity
    assert ladder <= market.notional(price, market.house.inventory_limit) // 10
    assert market.price_band_basis_points > market.slippage_cap_basis_points > 0
    assert market.breaker.move_basis_points > market.slippage_cap_basis_points
    assert market.fee_tiers[0].taker_fee_basis_points < market.taker_fee_basis_points
