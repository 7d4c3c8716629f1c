from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from portfolio.domain.facts import Bought, Fact, Moved, Sold
from portfolio.domain.holdings import Holdings
from portfolio.domain.position import Overdrawn


def _after(*facts: Fact) -> Holdings:
    return Holdings("u").after(facts, batch=1)


def _moved(asset: str, amount: str) -> Moved:
    return Moved(asset=asset, amount=Decimal(amount))


def _bought(quantity: str, paid: str, *, base: str = "BTC", quote: str = "USD") -> Bought:
    return Bought(base=base, quote=quote, quantity=Decimal(quantity), paid=Decimal(paid))


def _sold(quantity: str, received: str, *, base: str = "BTC", quote: str = "USD") -> Sold:
    return Sold(base=base, quote=quote, quantity=Decimal(quantity), received=Decimal(received))


FUNDED = _moved("USD", "10000")


def test_a_buy_costs_what_was_paid_fee_included() -> None:
    position = _after(FUNDED, _bought("0.1", "5010")).position("BTC")
    assert (position.quantity, position.cost, position.average_cost) == (Decimal("0.1"), 5010, 50100)


def test_two_buys_average() -> None:
    assert _after(FUNDED, _bought("1", "100"), _bought("3", "500")).position("BTC").average_cost == 150


def test_a_sell_realises_proceeds_less_average_cost_and_leaves_the_average() -> None:
    holdings = _after(FUNDED, _bought("2", "200"), _sold("0.5", "80"))
    position = holdings.position("BTC")
    assert (position.realized, position.cost, position.average_cost) == (30, 150, 100)
    assert holdings.realized == 30
    assert holdings.position("USD").quantity == Decimal(10000 - 200 + 80)


def test_selling_everything_leaves_no_cost_even_where_the_average_does_not_divide() -> None:
    holdings = _after(FUNDED, _bought("3", "100"), _sold("1", "40"), _sold("1", "40"), _sold("1", "40"))
    position = holdings.position("BTC")
    assert (position.quantity, position.cost, position.average_cost) == (0, 0, None)
    assert position.realized == 20


def test_a_dollar_costs_a_dollar() -> None:
    position = _after(FUNDED, _bought("1", "2500.5"), _moved("USD", "-100")).position("USD")
    assert position.quantity == position.cost == Decimal("7399.5")
    assert position.realized == 0


def test_coins_that_arrive_by_transfer_cost_nothing_and_leaving_realises_nothing() -> None:
    assert _after(_moved("BTC", "1")).position("BTC").cost == 0
    left = _after(FUNDED, _bought("2", "200"), _moved("BTC", "-1"))
    assert (left.position("BTC").cost, left.realized) == (100, 0)


def test_a_trade_of_coin_for_coin_moves_the_cost_and_realises_nothing() -> None:
    bought = _after(FUNDED, _bought("1", "6000"), _bought("10", "0.5", base="ETH", quote="BTC"))
    assert (bought.position("ETH").cost, bought.position("BTC").cost, bought.realized) == (3000, 3000, 0)
    sold = bought.after([_sold("5", "0.25", base="ETH", quote="BTC")], batch=2)
    assert (sold.position("ETH").cost, sold.position("BTC").cost, sold.realized) == (1500, 4500, 0)


def test_what_never_came_in_cannot_go_out() -> None:
    with pytest.raises(Overdrawn):
        _after(FUNDED, _sold("1", "100"))
    with pytest.raises(Overdrawn):
        _after(_bought("1", "100"))


units = st.integers(1, 10**12).map(lambda count: Decimal(count).scaleb(-8))
steps = st.lists(st.tuples(st.sampled_from(["buy", "sell", "all"]), units, units), max_size=30)


@given(steps)
def test_money_is_conserved_through_any_trades(trades: list[tuple[str, Decimal, Decimal]]) -> None:
    holdings = Holdings("u").after([Moved(asset="USD", amount=Decimal(10**9))], batch=1)
    spent, earned = Fraction(0), Fraction(0)
    for batch, (step, quantity, dollars) in enumerate(trades, start=2):
        held = holdings.position("BTC").quantity
        if step == "buy":
            fact: Fact = Bought(base="BTC", quote="USD", quantity=quantity, paid=dollars)
            spent += Fraction(dollars)
        elif held:
            sold = held if step == "all" else min(quantity, held)
            fact = Sold(base="BTC", quote="USD", quantity=sold, received=dollars)
            earned += Fraction(dollars)
        else:
            continue
        holdings = holdings.after([fact], batch=batch)
        position = holdings.position("BTC")
        # What was paid is either still in the position or was set against proceeds: not a unit appears or vanishes.
        assert Fraction(position.cost) == spent - earned + Fraction(position.realized)
        assert position.cost >= 0
        if not position.quantity:
            assert position.cost == 0
        cash = holdings.position("USD")
        assert cash.quantity == cash.cost


@given(steps)
def test_the_average_stays_near_the_exact_one(trades: list[tuple[str, Decimal, Decimal]]) -> None:
    holdings = Holdings("u").after([Moved(asset="USD", amount=Decimal(10**9))], batch=1)
    quantity_exact, cost_exact = Fraction(0), Fraction(0)
    for batch, (step, quantity, dollars) in enumerate(trades, start=2):
        if step == "buy":
            quantity_exact += Fraction(quantity)
            cost_exact += Fraction(dollars)
            holdings = holdings.after([Bought(base="BTC", quote="USD", quantity=quantity, paid=dollars)], batch=batch)
        elif quantity_exact:
            sold = quantity_exact if step == "all" else min(Fraction(quantity), quantity_exact)
            cost_exact -= cost_exact * sold / quantity_exact
            quantity_exact -= sold
            amount = Decimal(sold.numerator * 10**8 // sold.denominator).scaleb(-8)
            holdings = holdings.after([Sold(base="BTC", quote="USD", quantity=amount, received=dollars)], batch=batch)
        # Each sale rounds by at most half a unit of the eighth place.
        assert abs(Fraction(holdings.position("BTC").cost) - cost_exact) <= Fraction(len(trades), 2 * 10**8)
