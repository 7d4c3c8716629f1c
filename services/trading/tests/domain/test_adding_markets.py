"""Assets and markets that come while the exchange runs: what is refused, and that they trade like the first ones."""

from dataclasses import replace
from typing import Any

import pytest
from chassis.errors import ErrorKind, ServiceError
from exchange_factory import COIN_USD, OPERATOR, UNIT, USD, Bench, trades, units
from trading.domain.add_market import ASSETS_MAX, MARKETS_MAX
from trading.domain.commands import AddAsset, AddMarket, FreezeAsset, SetAsset, SetMarket
from trading.domain.default_markets import new_market
from trading.domain.errors import IdempotencyKeyReused, StalePrice, UnknownAsset
from trading.domain.events import AssetSet, KeyUsed, MarketSet
from trading.domain.exchange import Exchange
from trading.domain.market_errors import (
    AssetExists,
    InvalidMarket,
    MarketChangeRefused,
    MarketExists,
    NoReferencePrice,
    TooManyListed,
)
from trading.domain.markets import Asset, MarketStatus
from trading.domain.orders import Side
from trading.domain.outcomes import Repeat
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot

TRX = Asset("TRX", "TRON", 6)
TRX_USD = replace(
    new_market(TRX, USD), tick=UNIT // 100_000, lot=100_000, minimum_notional=UNIT // 10, maximum_quantity=10**12
)
OPEN = replace(TRX_USD, status=MarketStatus.TRADING)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def add(bench: Bench, market: Any = TRX_USD) -> None:
    bench.done(AddAsset(OPERATOR, TRX, "asked for"))
    bench.done(AddMarket(OPERATOR, market, "asked for"))


def test_an_asset_and_a_market_are_added_once_each_and_the_journal_says_by_whom(bench: Bench) -> None:
    assert bench.done(AddAsset(OPERATOR, TRX, "asked for")) == [AssetSet(TRX, OPERATOR, "asked for")]
    assert bench.done(AddMarket(OPERATOR, TRX_USD, "why")) == [MarketSet(TRX_USD, OPERATOR, "why", 1)]
    state = bench.exchange.state
    assert state.assets["TRX"] == TRX
    assert (state.markets["TRX-USD"].market, state.markets["TRX-USD"].version) == (TRX_USD, 1)
    with pytest.raises(AssetExists) as asset:
        bench.do(AddAsset(OPERATOR, replace(TRX, name="Another"), "again"))
    assert (asset.value.kind, asset.value.details["name"]) == (ErrorKind.CONFLICT, "TRON")
    with pytest.raises(MarketExists) as market:
        bench.do(AddMarket(OPERATOR, TRX_USD, "again"))
    assert (market.value.kind, market.value.details["version"]) == (ErrorKind.CONFLICT, "1")


def test_a_new_market_takes_no_order_until_it_is_opened_and_none_without_a_price(bench: Bench) -> None:
    add(bench)
    bench.deposit("alice", "TRX", 100 * 10**6)
    sell = bench.limit("alice", Side.SELL, "0", "0.25", market="TRX-USD")._replace(quantity=10**6)
    with pytest.raises(ServiceError) as closed:
        bench.do(sell)
    assert closed.value.reason == "market_cancel_only"
    opening = SetMarket(OPERATOR, OPEN, "looked at", expected_version=1)
    with pytest.raises(NoReferencePrice):
        bench.do(opening)
    bench.done(opening._replace(reference_price=UNIT // 4))
    with pytest.raises(StalePrice):
        bench.do(sell)
    bench.reference("0.25", market="TRX-USD")
    assert bench.done(sell)


def test_it_trades_like_the_first_ones_and_folds_and_restores_to_the_same_state(bench: Bench) -> None:
    add(bench)
    bench.reference("0.25", market="TRX-USD")
    bench.done(SetMarket(OPERATOR, OPEN, "looked at", expected_version=1))
    bench.deposit("alice", "TRX", 100 * 10**6)
    bench.done(bench.limit("alice", Side.SELL, "0", "0.25", market="TRX-USD")._replace(quantity=40 * 10**6))
    bench.batch()
    (trade,) = trades(bench.done(
        bench.limit("bob", Side.BUY, "0", "0.25", market="TRX-USD")._replace(quantity=30 * 10**6)
    ))  # fmt: skip
    assert (trade.quantity, trade.notional) == (30 * 10**6, units("7.5"))
    assert bench.money("bob", "TRX") == (30 * 10**6, 0)
    assert bench.money("alice", "TRX") == (60 * 10**6, 10 * 10**6)
    state = bench.exchange.state
    folded = Exchange()
    for event in bench.events:
        folded.apply(event)
    assert state_hash(folded.state) == state_hash(state)
    assert state_hash(restore_snapshot(take_snapshot(state))) == state_hash(state)


def test_other_markets_and_their_orders_do_not_notice(bench: Bench) -> None:
    bench.reference("100")
    placed = bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    before = bench.exchange.state.markets["COIN-USD"]
    add(bench)
    assert bench.exchange.state.markets["COIN-USD"] is before
    assert [order.order_id for order in before.bids.orders()] == [placed[0].order_id]  # type: ignore[union-attr]


def test_a_repeat_with_the_key_has_one_effect_and_other_contents_are_refused(bench: Bench) -> None:
    asset = AddAsset(OPERATOR, TRX, "asked for", "key-1")
    market = AddMarket(OPERATOR, TRX_USD, "asked for", "key-2")
    for command, kind in ((asset, AssetSet), (market, MarketSet)):
        assert [type(event) for event in bench.done(command)] == [kind, KeyUsed]
        assert isinstance(bench.do(command), Repeat)
    with pytest.raises(IdempotencyKeyReused):
        bench.do(asset._replace(asset=replace(TRX, scale=7)))
    with pytest.raises(IdempotencyKeyReused):
        bench.do(market._replace(market=replace(TRX_USD, tick=2_000)))
    with pytest.raises(IdempotencyKeyReused):
        bench.do(AddAsset(OPERATOR, Asset("NEW", "New", 8), "asked for", "key-2"))


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"status": MarketStatus.TRADING}, "status", "starts_closed"),
        ({"sources": ()}, "sources", "required"),
        (
            {"house": replace(COIN_USD.house, level_quantity=200_000, inventory_limit=100_000)},
            "house.inventory_limit", "at_least_a_level",
        ),
    ],
)  # fmt: skip
def test_a_market_that_could_not_be_opened_well_is_refused(
    bench: Bench, changes: dict[str, Any], field: str, rule: str
) -> None:
    bench.done(AddAsset(OPERATOR, TRX, "asked for"))
    before = state_hash(bench.exchange.state)
    with pytest.raises(InvalidMarket) as refusal:
        bench.do(AddMarket(OPERATOR, replace(TRX_USD, **changes), "asked for"))
    assert (refusal.value.details["field"], refusal.value.details["rule"]) == (field, rule)
    assert state_hash(bench.exchange.state) == before


def test_a_market_needs_its_two_assets_in_their_own_units(bench: Bench) -> None:
    with pytest.raises(UnknownAsset) as refusal:
        bench.do(AddMarket(OPERATOR, TRX_USD, "too early"))
    assert (refusal.value.details["asset"], refusal.value.details["field"]) == ("TRX", "base_asset")
    bench.done(AddAsset(OPERATOR, TRX, "asked for"))
    with pytest.raises(MarketChangeRefused):
        bench.do(AddMarket(OPERATOR, replace(TRX_USD, base_scale=8, lot=10**7), "other units"))
    with pytest.raises(UnknownAsset) as quote:
        bench.do(AddMarket(OPERATOR, replace(TRX_USD, quote="EUR"), "no euros"))
    assert quote.value.details["field"] == "quote_asset"


def test_a_frozen_asset_gets_a_closed_market_like_any_other(bench: Bench) -> None:
    bench.done(AddAsset(OPERATOR, TRX, "asked for"))
    bench.done(FreezeAsset(OPERATOR, "TRX", "M1"))
    assert bench.done(AddMarket(OPERATOR, TRX_USD, "asked for"))
    with pytest.raises(ServiceError) as refusal:
        bench.do(SetMarket(OPERATOR, OPEN, "open"))
    assert refusal.value.reason == "asset_frozen"


@pytest.mark.parametrize("name", [" TRON", "TRON ", "TR\nON", "TR\x00ON", "TR\u202eON"])
def test_a_name_that_would_mislead_on_a_page_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(InvalidMarket) as refusal:
        bench.do(AddAsset(OPERATOR, replace(TRX, name=name), "asked for"))
    assert refusal.value.details["field"] == "name"


def test_there_is_an_end_to_both(bench: Bench) -> None:
    bench.check = False
    state = bench.exchange.state
    for number in range(ASSETS_MAX - len(state.assets)):
        bench.do(SetAsset(OPERATOR, Asset(f"A{number}", "A", 8), "many"))
    with pytest.raises(TooManyListed) as assets:
        bench.do(AddAsset(OPERATOR, TRX, "one more"))
    assert assets.value.details["limit"] == str(ASSETS_MAX)
    for number in range(MARKETS_MAX - len(state.markets)):
        bench.do(SetMarket(OPERATOR, replace(COIN_USD, base=f"A{number % 490}", quote=f"A{490 + number // 490}"), "m"))
    with pytest.raises(TooManyListed):
        bench.do(AddMarket(OPERATOR, new_market(state.assets["A1"], USD), "one more"))
