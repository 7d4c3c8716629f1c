"""Rules of a market that only together keep every order out: refused when it is added, changed and opened."""

from dataclasses import replace
from typing import Any

import pytest
from exchange_factory import COIN, COIN_USD, OPERATOR, UNIT, USD, Bench, trades, units
from hypothesis import given
from hypothesis import strategies as st
from trading.domain.amounts import units_of
from trading.domain.commands import AddAsset, AddMarket, SetMarket
from trading.domain.default_markets import NO_HOUSE
from trading.domain.market_errors import InvalidMarket, NoReferencePrice
from trading.domain.markets import Asset, Market, MarketStatus
from trading.domain.orders import Side
from trading.domain.room_for_orders import check_room
from trading.domain.snapshot import state_hash

PRICE = "100"
ROOMY = replace(COIN_USD, house=NO_HOUSE)
CLOSED = MarketStatus.CANCEL_ONLY

# What is changed in rules that go together at a price of 100: the refusal's field, rule, limit, given, nearest.
CROWDED: list[tuple[dict[str, Any], tuple[str, str, str, str, str | None]]] = [
    ({"tick": 100 * UNIT}, ("tick", "price_band", "10", "100", "10")),
    ({"tick": 10 * UNIT + UNIT // 10}, ("tick", "price_band", "10", "10.1", "10")),
    ({"tick": 3 * UNIT}, ("tick", "slippage_cap", "2", "3", "1")),
    ({"price_band_basis_points": 9, "slippage_cap_basis_points": 9}, ("tick", "price_band", "0.09", "0.1", "0.01")),
    ({"slippage_cap_basis_points": 9}, ("tick", "slippage_cap", "0.09", "0.1", "0.01")),
    ({"tick": 2 * UNIT + 1, "lot": UNIT}, ("tick", "slippage_cap", "2", "2.00000001", "1")),
    (
        {"slippage_cap_basis_points": 1_001},
        ("slippage_cap_basis_points", "within_price_band", "1000", "1001", "1000"),
    ),
    ({"minimum_notional": 5_001 * UNIT}, ("min_notional", "max_quantity", "5000", "5001", "5000")),
    ({"maximum_quantity": UNIT // 1000}, ("min_notional", "max_quantity", "0.1", "1", "0.1")),
    (
        {"lot": 10**9 * UNIT, "maximum_quantity": 10**9 * UNIT},
        ("lot", "amount_max", "92233720368.54775807", "100000000000", "0.0000001"),
    ),
    (
        {"house": replace(COIN_USD.house, half_spread_basis_points=171)},
        ("house.half_spread_basis_points", "within_slippage_cap", "170", "171", "170"),
    ),
    (
        {"house": replace(COIN_USD.house, half_spread_basis_points=20), "slippage_cap_basis_points": 30},
        ("house.half_spread_basis_points", "within_slippage_cap", "0", "20", None),
    ),
    (
        {"silence_limit_milliseconds": 1_999},
        ("silence_limit_seconds", "longer_than_the_heartbeat", "2", "1.999", "2"),
    ),
]


def facts(refusal: InvalidMarket) -> tuple[str | None, ...]:
    return tuple(refusal.details.get(name) for name in ("field", "rule", "limit", "given", "nearest"))


@pytest.mark.parametrize(("changes", "expected"), CROWDED)
def test_rules_that_keep_every_order_out_are_not_set(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    bench = Bench()
    bench.reference(PRICE)
    before = state_hash(bench.exchange.state)
    for status in (MarketStatus.TRADING, CLOSED):
        with pytest.raises(InvalidMarket) as refusal:
            bench.do(SetMarket(OPERATOR, replace(ROOMY, status=status, **changes), "a typing error"))
        assert facts(refusal.value) == expected
    assert state_hash(bench.exchange.state) == before


@pytest.mark.parametrize(("changes", "expected"), CROWDED)
def test_nor_added(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    bench = Bench()
    bench.done(AddAsset(OPERATOR, Asset("NEW", "New", 8), "asked for"))
    market = replace(ROOMY, base="NEW", status=CLOSED)
    command = AddMarket(OPERATOR, replace(market, **changes), "a typing error", reference_price=units(PRICE))
    with pytest.raises(InvalidMarket) as refusal:
        bench.do(command)
    assert facts(refusal.value) == expected
    assert "NEW-USD" not in bench.exchange.state.markets
    assert bench.done(command._replace(market=market))


def test_a_market_whose_price_ran_away_is_not_opened_but_is_changed_elsewhere_and_closed() -> None:
    bench = Bench()
    bench.reference("1")  # a tenth is coarser than 2 % of it
    dearer = replace(COIN_USD, taker_fee_basis_points=30)
    alone = replace(dearer, house=replace(COIN_USD.house, levels=0))
    patient = replace(alone, silence_limit_milliseconds=4_000)
    closed = replace(patient, status=CLOSED)
    for market in (dearer, alone, patient, closed):
        assert bench.done(SetMarket(OPERATOR, market, "it must be possible"))
    with pytest.raises(InvalidMarket) as refusal:
        bench.do(SetMarket(OPERATOR, alone, "open it"))
    assert facts(refusal.value) == ("tick", "slippage_cap", "0.02", "0.1", "0.01")
    assert bench.done(SetMarket(OPERATOR, replace(alone, tick=units("0.01")), "with another tick"))


@pytest.mark.parametrize("price", ["100", "100.03", "99.97"])
def test_a_house_as_far_out_as_it_may_be_is_met_by_market_orders(price: str) -> None:
    bench = Bench()
    bench.reference(PRICE)
    house = replace(COIN_USD.house, half_spread_basis_points=170)
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, house=house), "careful"))
    bench.reference(price, source="coingecko")  # the source that it trusts less, by 20 basis points
    for side in (Side.BUY, Side.SELL):
        assert trades(bench.done(bench.market("alice", side, quantity=UNIT)))


def test_a_house_comes_back_within_the_cap_alone() -> None:
    bench = Bench()
    bench.reference(PRICE)
    bench.done(SetMarket(OPERATOR, ROOMY, "without a house"))
    far = replace(COIN_USD, house=replace(COIN_USD.house, half_spread_basis_points=171))
    with pytest.raises(InvalidMarket):
        bench.do(SetMarket(OPERATOR, far, "with one"))
    assert bench.done(SetMarket(OPERATOR, COIN_USD, "nearer"))


def test_what_the_leader_has_heard_counts_before_what_the_journal_holds() -> None:
    bench = Bench()
    bench.reference("1")
    change = SetMarket(OPERATOR, replace(COIN_USD, maximum_quantity=60 * UNIT), "more")
    with pytest.raises(InvalidMarket):
        bench.do(change)
    assert bench.done(change._replace(reference_price=units("100")))


def test_without_a_price_only_what_no_price_allows_is_refused() -> None:
    bench = Bench()
    bench.done(AddAsset(OPERATOR, Asset("NEW", "New", 8), "asked for"))
    new = replace(ROOMY, base="NEW", status=CLOSED)
    for changes, field in (
        ({"tick": 10**18, "lot": 10**8}, "tick"),
        ({"tick": 10**8, "lot": 1, "maximum_quantity": 1, "minimum_notional": 10**11}, "min_notional"),
        ({"tick": 10**10, "lot": 10**18, "maximum_quantity": 10**18}, "lot"),
    ):
        with pytest.raises(InvalidMarket) as refusal:
            bench.do(AddMarket(OPERATOR, replace(new, **changes), "a typing error"))
        assert refusal.value.details["field"] == field
    assert bench.done(AddMarket(OPERATOR, replace(new, tick=100 * UNIT, lot=10 * UNIT), "it may be dear"))


def test_a_market_is_opened_at_a_price_of_its_own_sources() -> None:
    bench = Bench()
    opening = SetMarket(OPERATOR, replace(COIN_USD, base="NEW"), "open")
    closed = replace(opening.market, status=CLOSED)
    bench.done(AddAsset(OPERATOR, Asset("NEW", "New", 8), "asked for"))
    bench.done(AddMarket(OPERATOR, closed, "asked for"))
    with pytest.raises(NoReferencePrice) as refusal:
        bench.do(opening)
    assert refusal.value.details == {
        "market": "NEW-USD", "field": "status", "rule": "reference_price", "limit": "simulator, coingecko",
    }  # fmt: skip
    bench.reference(PRICE, "NEW-USD", source="simulator")
    with pytest.raises(NoReferencePrice):
        bench.do(opening._replace(market=replace(opening.market, sources=COIN_USD.sources[1:])))
    assert bench.done(opening)


def test_a_market_that_trades_has_a_source_of_prices() -> None:
    bench = Bench()
    bench.reference(PRICE)
    deaf = replace(COIN_USD, sources=())
    with pytest.raises(InvalidMarket) as refusal:
        bench.do(SetMarket(OPERATOR, deaf, "a typing error"))
    assert facts(refusal.value) == ("sources", "required", None, "[]", None)
    assert bench.done(SetMarket(OPERATOR, replace(deaf, status=CLOSED), "the sources are wrong"))
    with pytest.raises(InvalidMarket):
        bench.do(SetMarket(OPERATOR, deaf, "open"))
    assert bench.done(SetMarket(OPERATOR, COIN_USD, "they are right again"))


def test_a_tick_is_suggested_that_goes_with_the_lot() -> None:
    market = replace(ROOMY, lot=2 * 10**7, tick=50, maximum_quantity=10**16, slippage_cap_basis_points=1_000)
    with pytest.raises(InvalidMarket) as refusal:
        check_room(market, 79)  # a tenth is 7, and only multiples of 5 make whole notionals
    assert facts(refusal.value) == ("tick", "price_band", "0.00000007", "0.0000005", "0.00000005")
    with pytest.raises(InvalidMarket) as none:
        check_room(market, 49)
    assert facts(none.value) == ("tick", "price_band", "0.00000004", "0.0000005", None)


_FIELDS = {
    "tick": ("tick", USD.scale),
    "lot": ("lot", COIN.scale),
    "min_notional": ("minimum_notional", USD.scale),
    "slippage_cap_basis_points": ("slippage_cap_basis_points", 0),
}


def powers(most: int) -> st.SearchStrategy[int]:
    """Of ten, times 1, 2, 3 or 5."""
    return st.builds(lambda exponent, digit: digit * 10**exponent, st.integers(0, most), st.sampled_from((1, 2, 3, 5)))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """Any rules that `Market` takes, coarse and fine."""
    lot = draw(powers(12))
    lots = draw(powers(4))
    tick_at_least = COIN_USD.base_unit // min(lot & -lot, COIN_USD.base_unit)
    tick = tick_at_least * draw(powers(6))
    return replace(
        COIN_USD,
        tick=tick,
        lot=lot,
        minimum_notional=draw(powers(14)),
        maximum_quantity=lot * lots,
        price_band_basis_points=draw(st.integers(1, 3_000)),
        slippage_cap_basis_points=draw(st.integers(1, 3_000)),
        house=NO_HOUSE,
    )


@given(market=markets(), price=powers(13))
def test_what_passes_takes_limits_and_fills_market_orders_and_what_is_suggested_passes(
    market: Market, price: int
) -> None:
    broken: list[str] = []
    while (refusal := refused(market, price)) is not None:
        # Mending one rule can break another, but none is broken after it was mended.
        assert refusal.details["rule"] not in broken
        broken.append(refusal.details["rule"])
        if "nearest" not in refusal.details:
            return
        name, scale = _FIELDS[refusal.details["field"]]
        market = replace(market, **{name: units_of(refusal.details["nearest"], scale)})  # type: ignore[arg-type]
    for side in (Side.BUY, Side.SELL):
        fill_a_market_order(side, market, price)


def refused(market: Market, price: int) -> InvalidMarket | None:
    try:
        check_room(market, price)
    except InvalidMarket as refusal:
        return refusal
    return None


def fill_a_market_order(side: Side, market: Market, price: int) -> None:
    """The smallest one, against a limit at the next tick."""
    bench = Bench(users=(), check=False)
    bench.do(SetMarket(OPERATOR, market, "any rules", reference_price=price))
    bench.reference(market.price_text(price))
    for user in ("alice", "bob"):
        for code in ("USD", "COIN"):
            bench.deposit(user, code, 4 * 10**18)
    tick = -(-price // market.tick) * market.tick
    quantity = -(-market.minimum_notional * market.base_unit // (price * market.lot)) * market.lot
    opposite = Side.SELL if side is Side.BUY else Side.BUY
    bench.done(bench.limit("alice", opposite, "0", "0")._replace(quantity=quantity, price=tick))
    (trade,) = trades(bench.done(bench.market("bob", side, quantity=quantity)))
    assert (trade.price, trade.quantity) == (tick, quantity)
