"""The second set of books agrees with every state there is, and with none that was tampered with."""

from collections.abc import Callable

import pytest
from exchange_factory import OPERATOR, UNIT, Bench, actor
from trading.domain.accounts import Posting
from trading.domain.bookkeeping import Bookkeeping, assets_in_question
from trading.domain.commands import CancelOrder, HoldTransfer, PostTransfer
from trading.domain.events import OrderPlaced, TransferPosted
from trading.domain.exchange import Exchange
from trading.domain.invariants import Violation
from trading.domain.orders import Side
from trading.domain.snapshot import restore_snapshot, take_snapshot
from trading.domain.state import ExchangeState


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.reference("100")
    placed = bench.done(bench.limit("alice", Side.SELL, "2", "101"))[0]
    bench.done(bench.limit("bob", Side.BUY, "1", "101"))
    moves = (Posting("user:bob", "USD", -UNIT), Posting("external", "USD", UNIT))
    bench.done(HoldTransfer(actor("bob"), "w1", "withdrawal", moves))
    bench.done(HoldTransfer(actor("bob"), "w2", "withdrawal", moves))
    bench.done(PostTransfer(OPERATOR, "w1:sent", "w1"))
    bench.batch()
    bench.done(bench.limit("alice", Side.BUY, "1", "99"))
    assert isinstance(placed, OrderPlaced)
    bench.done(CancelOrder(actor("alice"), placed.order_id))
    return bench


def test_the_books_agree_after_every_event_of_a_batch_and_from_any_snapshot(bench: Bench) -> None:
    exchange = Exchange()
    books = [Bookkeeping(exchange.state)]
    for index, event in enumerate(bench.events):
        if index % 7 == 0:
            books.append(Bookkeeping(restore_snapshot(take_snapshot(exchange.state))))
        exchange.apply(event)
        for book in books:
            book.feed(event)
    assert len(books) > 3
    for book in books:
        assert book.check_touched(exchange.state) == []
        assert book.check_everything(exchange.state) == []


def corrupt_balance(state: ExchangeState) -> None:
    state.owners["user:alice"].accounts["COIN"].available += 1
    state.owners["user:bob"].accounts["COIN"].available -= 1  # so that the sum over all accounts stays zero


def corrupt_hold(state: ExchangeState) -> None:
    account = state.owners["user:bob"].accounts["USD"]
    account.available, account.held = account.available + account.held, 0


def corrupt_order(state: ExchangeState) -> None:
    next(iter(state.owners["user:alice"].orders.values())).hold -= 1


@pytest.mark.parametrize(
    ("corrupt", "invariants", "asset"),
    [
        (corrupt_balance, {"M6"}, "COIN"),
        (corrupt_hold, {"M4", "M6"}, "USD"),
        (corrupt_order, {"M4", "M5"}, "USD"),
    ],
)
def test_what_was_tampered_with_is_found_where_it_moved(
    bench: Bench, corrupt: Callable[[ExchangeState], None], invariants: set[str], asset: str
) -> None:
    exchange = Exchange()
    books = Bookkeeping(exchange.state)
    for event in bench.events:
        exchange.apply(event)
        books.feed(event)
    corrupt(exchange.state)
    found = books.check_touched(exchange.state)
    assert {violation.invariant for violation in found} == invariants
    assert {assets_in_question(exchange.state, violation) for violation in found} == {(asset,)}


def test_a_movement_that_does_not_balance_is_found_by_itself(bench: Bench) -> None:
    books = Bookkeeping(bench.exchange.state)
    posted = next(event for event in bench.events if isinstance(event, TransferPosted))
    crooked = posted._replace(postings=(Posting("external", "USD", -5), Posting("user:alice", "USD", 6)))
    bench.exchange.apply(crooked)
    books.feed(crooked)
    (found,) = books.check_touched(bench.exchange.state)
    assert (found.invariant, found.subject) == ("M2", "USD")
    assert books.check_touched(bench.exchange.state) == []


def test_a_doubt_names_the_assets_that_it_concerns(bench: Bench) -> None:
    state = bench.exchange.state
    order_id = next(iter(state.orders))
    for subject, assets in (
        ("USD", ("USD",)),
        ("user:alice/COIN", ("COIN",)),
        ("COIN-USD", ("COIN",)),
        (order_id, ("USD",)),
        ("tape", ("COIN", "DUST", "USD")),
    ):
        assert assets_in_question(state, Violation("M0", subject, "")) == assets
