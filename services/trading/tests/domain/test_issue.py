"""No balance ever passes 63 bits: not by a deposit, not by what a trade brings in, whoever trades with whom."""

from dataclasses import replace

import pytest
from exchange_factory import COIN_USD, OPERATOR, UNIT, Bench, actor, trades, units
from trading.domain.accounts import Posting
from trading.domain.amounts import AMOUNT_MAX
from trading.domain.commands import HoldTransfer, SetMarket, Transfer, VoidTransfer
from trading.domain.errors import AmountTooLarge, NoLiquidity
from trading.domain.exchange import Exchange
from trading.domain.invariants import check_all
from trading.domain.issue import owed
from trading.domain.orders import OrderStatus, Side, TimeInForce
from trading.domain.snapshot import restore_snapshot, state_hash, take_snapshot

DEPOSITED = 20_000 * UNIT  # of USD, by the two users of the bench


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.reference("100")
    return bench


def balance(bench: Bench, owner: str, asset: str = "USD") -> int:
    account = bench.exchange.state.owners[owner].accounts[asset]
    return account.available + account.held


def fill_up(bench: Bench, *, but: int, asset: str = "USD", deposited: int = DEPOSITED) -> None:
    """Somebody brings in so much that only `but` minor units more fit."""
    bench.deposit("whale", asset, AMOUNT_MAX - deposited - but)


def refused(bench: Bench, command: Transfer | HoldTransfer) -> AmountTooLarge:
    before = state_hash(bench.exchange.state)
    with pytest.raises(AmountTooLarge) as refusal:
        bench.do(command)
    assert state_hash(bench.exchange.state) == before
    return refusal.value


def move(key: str, *postings: tuple[str, int], kind: str = "deposit", asset: str = "USD") -> Transfer:
    legs = tuple(Posting(owner, asset, amount) for owner, amount in postings)
    return Transfer(actor("operator"), key, kind, legs, "r")


def test_what_there_is_of_an_asset_may_come_to_63_bits_and_no_further(bench: Bench) -> None:
    fill_up(bench, but=5)
    bench.done(move("d", ("external", -5), ("user:carol", 5)))
    assert owed(bench.exchange.state.owners, "USD") == AMOUNT_MAX
    refusal = refused(bench, move("d2", ("external", -1), ("user:dan", 1)))
    assert (refusal.details["rule"], refusal.details["limit"]) == ("amount_max", "92233720368.54775807")


def test_nobody_issues_through_the_house_what_does_not_fit(bench: Bench) -> None:
    """Two accounts may be negative; each alone would have room."""
    fill_up(bench, but=100)
    bench.done(move("d", ("house", -100), ("user:carol", 100), kind="adjustment"))
    refused(bench, move("d2", ("house", -1), ("user:carol", 1), kind="adjustment"))
    held = (Posting("house", "USD", -1), Posting("user:carol", "USD", 1))
    refused(bench, HoldTransfer(actor("operator"), "h", "adjustment", held, reason="r"))
    refused(bench, move("d3", ("external", -1), ("user:carol", 1)))
    # What only moves between the two issues nothing.
    bench.done(move("d4", ("external", -50), ("house", 50), kind="adjustment"))


def test_a_hold_of_the_outside_world_counts_when_it_is_taken(bench: Bench) -> None:
    fill_up(bench, but=10)
    legs = (Posting("external", "USD", -10), Posting("user:carol", "USD", 10))
    bench.done(HoldTransfer(OPERATOR, "h", "deposit", legs))
    refused(bench, move("d", ("external", -1), ("user:dan", 1)))
    bench.done(VoidTransfer(OPERATOR, "v", "h"))
    assert bench.done(move("d", ("external", -1), ("user:dan", 1)))


def test_the_house_buys_no_more_than_it_can_pay_for_without_passing_the_bound(bench: Bench) -> None:
    fill_up(bench, but=units("150"))
    order = bench.market("alice", Side.SELL, quantity=units("4"))
    (trade,) = trades(bench.done(order))
    assert units("148") < trade.notional <= units("150")
    assert owed(bench.exchange.state.owners, "USD") <= AMOUNT_MAX
    refusals = 0
    for _ in range(6):
        # What is left pays for less each time, and at last not for a lot.
        before = state_hash(bench.exchange.state)
        try:
            bench.done(bench.market("alice", Side.SELL, quantity=units("2")))
        except NoLiquidity:
            refusals += 1
            assert state_hash(bench.exchange.state) == before
    assert refusals


def test_the_house_sells_no_more_than_fits(bench: Bench) -> None:
    bench.deposit("whale", "COIN", AMOUNT_MAX - 200 * UNIT - units("1.5"))
    events = bench.done(bench.market("alice", Side.BUY, quantity=units("3")))
    assert sum(trade.quantity for trade in trades(events)) == units("1.5")
    assert owed(bench.exchange.state.owners, "COIN") == AMOUNT_MAX
    with pytest.raises(NoLiquidity):
        bench.do(bench.market("bob", Side.BUY, quantity=units("1")))
    restored = Exchange(restore_snapshot(take_snapshot(bench.exchange.state)))
    with pytest.raises(NoLiquidity):
        restored.execute(bench.market("bob", Side.BUY, quantity=units("1")))
    # What it has bought it may sell again.
    bench.done(bench.market("bob", Side.SELL, quantity=units("1")))
    assert bench.done(bench.market("alice", Side.BUY, quantity=units("1")))


def test_resting_orders_that_the_reference_reaches_fill_as_far_as_fits(bench: Bench) -> None:
    fill_up(bench, but=units("110"))
    bench.done(bench.limit("alice", Side.SELL, "2", "105"))
    bench.batch(100)
    events = bench.reference("108")
    (trade,) = trades(events)
    assert units("1") <= trade.quantity < units("1.1")
    assert owed(bench.exchange.state.owners, "USD") <= AMOUNT_MAX
    assert check_all(bench.exchange.state) == []


def test_a_seller_beside_the_largest_balance_there_can_be_is_paid(bench: Bench) -> None:
    """Between users nothing is issued, so nothing has to be checked."""
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, house=replace(COIN_USD.house, levels=0)), "no house"))
    fill_up(bench, but=0)
    bench.deposit("whale", "COIN", units("5"))
    bench.done(bench.limit("alice", Side.BUY, "5", "100"))
    bench.batch()
    events = bench.done(bench.limit("whale", Side.SELL, "5", "100", time_in_force=TimeInForce.IOC))
    (trade,) = trades(events)
    assert trade.seller.status is OrderStatus.FILLED
    assert balance(bench, "user:whale") == AMOUNT_MAX - DEPOSITED + units("500") - units("1")
    assert sum(
        balance(bench, name) for name in bench.exchange.state.owners
        if name != "external" and "USD" in bench.exchange.state.owners[name].accounts
    ) == AMOUNT_MAX  # fmt: skip


def test_a_book_of_balances_that_passes_the_bound_is_seen(bench: Bench) -> None:
    bench.check = False
    state = bench.exchange.state
    state.owners["user:alice"].accounts["USD"].available += AMOUNT_MAX - DEPOSITED + 1
    state.owners["external"].accounts["USD"].available -= AMOUNT_MAX - DEPOSITED + 1
    assert any(one.invariant == "M3" and one.subject == "USD" for one in check_all(state))
