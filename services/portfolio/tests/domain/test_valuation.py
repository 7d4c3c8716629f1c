from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from portfolio.domain.facts import Bought, Moved
from portfolio.domain.holdings import Holdings
from portfolio.domain.valuation import Balance, Balances, Portfolio, Quote, allocate, value_portfolio

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(seconds=4)
BOUGHT = Holdings("u").after(
    [
        Moved(asset="USD", amount=Decimal(10000)),
        Bought(base="BTC", quote="USD", quantity=Decimal("0.1"), paid=Decimal(5010)),
    ],
    batch=3,
)
BALANCES = Balances(3, (Balance("USD", Decimal(4000), Decimal(990)), Balance("BTC", Decimal("0.1"), Decimal(0))))


def _valued(
    balances: Balances = BALANCES, folded: Holdings = BOUGHT, *, behind: bool = False, **prices: str
) -> Portfolio:
    quotes = {symbol: Quote(Decimal(price), EARLIER) for symbol, price in prices.items()}
    return value_portfolio(balances, folded, quotes=quotes, names={"BTC": "Bitcoin"}, now=NOW, behind=behind)


def test_holdings_carry_value_share_and_profit() -> None:
    view = _valued(BTC="60000")
    bitcoin, dollars = view.holdings
    assert (bitcoin.symbol, bitcoin.name, bitcoin.value, bitcoin.allocation) == (
        "BTC",
        "Bitcoin",
        6000,
        Decimal("54.60"),
    )
    assert (bitcoin.average_cost, bitcoin.unrealized_pnl) == (50100, 990)
    assert (dollars.amount, dollars.available, dollars.held) == (4990, 4000, 990)
    assert (dollars.price, dollars.value, dollars.average_cost, dollars.unrealized_pnl) == (1, 4990, 1, 0)
    assert (view.total_value, view.cash, view.batch) == (10990, 4990, 3)


def test_the_view_is_as_old_as_its_oldest_price() -> None:
    assert _valued(BTC="60000").as_of == EARLIER
    assert _valued(Balances(0, ())).as_of == NOW


def test_without_a_price_there_is_no_value_and_no_guess() -> None:
    view = _valued()
    dollars, bitcoin = view.holdings
    assert (bitcoin.price, bitcoin.value, bitcoin.unrealized_pnl, bitcoin.allocation) == (None, None, None, 0)
    assert bitcoin.average_cost == 50100
    assert dollars.allocation == 100
    assert view.total_value == 4990


def test_before_the_fold_arrives_cost_is_unknown_and_not_nothing() -> None:
    (holding,) = _valued(
        Balances(9, (Balance("ETH", Decimal(1), Decimal(0)),)), Holdings("u"), behind=True, ETH="2500"
    ).holdings
    assert (holding.value, holding.average_cost, holding.unrealized_pnl) == (2500, None, None)


def test_a_user_without_anything_has_an_empty_portfolio() -> None:
    view = _valued(Balances(0, ()), Holdings("u"))
    assert (view.holdings, view.total_value, view.cash, view.realized_pnl) == ((), 0, 0, 0)


def test_an_emptied_balance_is_no_holding() -> None:
    assert [h.symbol for h in _valued(Balances(5, (Balance("BTC", Decimal(0), Decimal(0)),)), BTC="1").holdings] == []


@given(st.dictionaries(st.text("ABCDEF", min_size=1), st.integers(0, 10**20), max_size=20))
def test_allocations_are_hundredths_that_sum_to_exactly_one_hundred(minor: dict[str, int]) -> None:
    values = {symbol: Decimal(units).scaleb(-8) for symbol, units in minor.items()}
    allocations = allocate(values)
    total = sum(minor.values())
    assert sum(allocations.values()) == (100 if total else 0)
    for symbol, allocation in allocations.items():
        assert allocation == allocation.quantize(Decimal("0.01"))
        if total:
            exact = Decimal(minor[symbol]) * 100 / Decimal(total)
            assert abs(allocation - exact) < Decimal("0.01")
