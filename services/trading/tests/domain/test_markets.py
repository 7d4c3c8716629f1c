from dataclasses import replace
from uuid import UUID

import pytest
from exchange_factory import COIN_USD, OPERATOR, Bench, units
from trading.domain.commands import SetAsset, SetMarket
from trading.domain.default_markets import default_assets, default_markets
from trading.domain.errors import InvalidMarket, MarketChangeRefused
from trading.domain.identifiers import order_id, trade_id, transfer_id
from trading.domain.markets import Asset
from trading.domain.orders import LIFE, TERMINAL, OrderStatus, OrderStep, Side


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
    with pytest.raises(MarketChangeRefused):
        bench.do(SetMarket(OPERATOR, replace(COIN_USD, tick=2 * COIN_USD.tick), "finer"))
    assert bench.done(SetMarket(OPERATOR, replace(COIN_USD, taker_fee_basis_points=500), "dearer"))


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
