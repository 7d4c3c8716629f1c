from dataclasses import replace
from random import Random

import pytest
from chassis.errors import ErrorKind, ServiceError
from exchange_factory import COIN_USD, DUST_USD, OPERATOR, UNIT, Bench, actor, units
from trading.domain.accounts import Posting
from trading.domain.commands import CancelAll, CancelOrder, SetMarket, StartBatch, Transfer
from trading.domain.errors import (
    AmountTooLarge,
    ClientOrderIdReused,
    IdempotencyKeyReused,
    InsufficientFunds,
    OrderNotOpen,
    UnknownAsset,
)
from trading.domain.events import BatchStarted, KeyUsed, NotCancelled, OrderClosed, OrderPlaced, TransferPosted
from trading.domain.history import History
from trading.domain.markets import MarketStatus
from trading.domain.orders import Side
from trading.domain.outcomes import Repeat
from trading.domain.preview_order import preview_order
from trading.domain.snapshot import restore_snapshot, take_snapshot
from trading.domain.start_batch import keys_to_evict
from trading.domain.state import Limits
from trading.domain.transfer_errors import BusinessKeyReused, InvalidTransfer


@pytest.fixture
def bench() -> Bench:
    bench = Bench(limits=Limits(remembered_batches=3))
    bench.reference("100")
    return bench


def place(bench: Bench, **more: object) -> str:
    placed = bench.done(bench.limit("alice", Side.BUY, "1", "99", **more))[0]
    assert isinstance(placed, OrderPlaced)
    return placed.order_id


def test_a_hundred_retries_with_one_key_are_one_order(bench: Bench) -> None:
    first = place(bench, idempotency_key="k")
    for _ in range(99):
        repeat = bench.do(bench.limit("alice", Side.BUY, "1", "99", idempotency_key="k"))
        assert repeat == Repeat(bench.exchange.state.batch_number, (first,))
    assert list(bench.exchange.state.orders) == [first]


def test_a_retry_finds_the_first_order_even_where_the_market_has_closed_since(bench: Bench) -> None:
    first = place(bench, idempotency_key="k")
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, status=MarketStatus.HALTED), "incident"))
    repeat = bench.do(bench.limit("alice", Side.BUY, "1", "99", idempotency_key="k"))
    assert isinstance(repeat, Repeat)
    assert repeat.order_ids == (first,)


def test_the_same_key_with_other_contents_is_a_conflict(bench: Bench) -> None:
    order_id = place(bench, idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused) as caught:
        place(bench, idempotency_key="k", post_only=True)
    assert caught.value.kind is ErrorKind.CONFLICT
    with pytest.raises(IdempotencyKeyReused):
        bench.do(CancelOrder(actor("alice"), order_id, "k"))


def test_keys_of_two_users_are_different_keys(bench: Bench) -> None:
    place(bench, idempotency_key="k")
    assert bench.done(bench.limit("bob", Side.BUY, "2", "99", idempotency_key="k"))


def test_a_client_order_id_names_one_order(bench: Bench) -> None:
    first = place(bench, client_order_id="c", idempotency_key="k")
    with pytest.raises(ClientOrderIdReused) as caught:
        place(bench, client_order_id="c", idempotency_key="other")
    assert caught.value.details["order_id"] == first


def test_without_keys_the_client_order_id_marks_the_retry(bench: Bench) -> None:
    first = place(bench, client_order_id="c")
    again = bench.limit("alice", Side.BUY, "1", "99", client_order_id="c")
    repeat = bench.do(again)
    assert isinstance(repeat, Repeat)
    assert repeat.order_ids == (first,)
    with pytest.raises(ClientOrderIdReused):
        preview_order(bench.exchange.state, again)  # there is nothing more that it would do
    with pytest.raises(ClientOrderIdReused):
        place(bench, client_order_id="c", post_only=True)


def test_a_retry_that_left_its_key_out_is_known_by_its_client_order_id(bench: Bench) -> None:
    first = place(bench, client_order_id="c", idempotency_key="k")
    repeat = bench.do(bench.limit("alice", Side.BUY, "1", "99", client_order_id="c"))
    assert isinstance(repeat, Repeat)
    assert repeat.order_ids == (first,)


def test_a_refused_order_leaves_its_key_free(bench: Bench) -> None:
    with pytest.raises(ServiceError):
        bench.do(bench.limit("alice", Side.BUY, "1", "1", idempotency_key="k"))
    assert place(bench, idempotency_key="k")


def test_keys_leave_memory_by_batch_number_alone(bench: Bench) -> None:
    place(bench, idempotency_key="k")
    for _ in range(2):
        bench.batch(10_000_000)
    bench.reference("100")
    assert isinstance(bench.do(bench.limit("alice", Side.BUY, "1", "99", idempotency_key="k")), Repeat)
    bench.batch()
    assert ("user:alice", "k") not in bench.exchange.state.keys.idempotency
    assert not bench.exchange.state.keys.by_age or bench.exchange.state.keys.by_age[0][0] > 1


@pytest.mark.parametrize("seed", range(8))
def test_which_keys_are_too_old_is_told_as_if_nobody_had_looked_before(seed: int) -> None:
    random, hour = Random(seed), 3_600_000
    bench = Bench(limits=Limits(remembered_batches=20), check=False)
    state, told = bench.exchange.state, set()
    for number in range(120):
        bench.batch(random.choice((0, 1_000, hour, hour, 7 * hour)))
        bench.reference("100")
        for key in range(random.choice((0, 1, 2, 80))):
            if random.random() < 0.02:
                place(bench, idempotency_key=f"{number}:{key}")
            bench.done(CancelAll(actor("alice"), idempotency_key=f"cancel:{number}:{key}"))
        for later in random.sample((1, hour, 24 * hour, 25 * hour, 48 * hour), 3):
            asked = (state.batch_number + 1, state.batch_milliseconds + later)
            known = keys_to_evict(state, *asked)
            assert known == keys_to_evict(restore_snapshot(take_snapshot(state), state.limits), *asked)
            told.add(known > asked[0] - 20)
    assert told == {False, True}  # some for their age alone


def test_the_history_sees_a_second_effect_of_a_key_until_the_key_is_forgotten(bench: Bench) -> None:
    place(bench, idempotency_key="k", client_order_id="mine")
    placed = bench.events[-1]
    assert isinstance(placed, OrderPlaced)
    for evicted, seen in ((placed_in(bench) - 1, ["M14", "M14"]), (placed_in(bench), [])):
        history = History()
        for event in bench.events:
            history.feed(event)
        history.feed(BatchStarted(placed_in(bench) + 1, bench.now, evicted))
        again = placed._replace(order_id="another", order_number=2, user_sequence=placed.user_sequence + 1)
        history.feed(again)
        second = [found.invariant for found in history.violations if "had a second effect" in found.message]
        assert second == seen


def placed_in(bench: Bench) -> int:
    return bench.exchange.state.batch_number


def test_a_cancel_gives_back_what_was_held_once(bench: Bench) -> None:
    order_id = place(bench)
    bench.done(CancelOrder(actor("alice"), order_id))
    assert bench.money("alice", "USD") == (units("10000"), 0)
    with pytest.raises(OrderNotOpen):
        bench.do(CancelOrder(actor("alice"), order_id))
    assert bench.money("alice", "USD") == (units("10000"), 0)


def test_a_repeated_cancel_with_its_key_is_a_repeat(bench: Bench) -> None:
    order_id = place(bench)
    events = bench.done(CancelOrder(actor("alice"), order_id, "cancel-1"))
    assert [type(event) for event in events] == [OrderClosed, KeyUsed]
    repeat = bench.do(CancelOrder(actor("alice"), order_id, "cancel-1"))
    assert isinstance(repeat, Repeat)
    assert repeat.order_ids == (order_id,)


def test_a_cancel_of_all_says_which_orders_it_had_to_leave_and_why(bench: Bench) -> None:
    bench.reference("0.01", "DUST-USD")
    cancelled = place(bench)
    left = bench.done(bench.limit("alice", Side.BUY, "5", "0.0099", market="DUST-USD"))[0]
    assert isinstance(left, OrderPlaced)
    bench.done(bench.limit("bob", Side.BUY, "5", "0.0099", market="DUST-USD"))
    bench.done(SetMarket(OPERATOR, replace(DUST_USD, status=MarketStatus.HALTED), "incident"))
    *_, used = bench.done(CancelAll(actor("alice"), idempotency_key="all"))
    assert isinstance(used, KeyUsed)
    stays = (NotCancelled(left.order_id, "DUST-USD", "market_halted"),)
    assert (used.order_ids, used.not_cancelled) == ((cancelled,), stays)
    # Nothing is left to close, and it says so all the same.
    (again,) = bench.done(CancelAll(actor("alice"), idempotency_key="again"))
    assert isinstance(again, KeyUsed)
    assert (again.order_ids, again.not_cancelled) == ((), stays)
    place(bench)
    *_, in_one_market = bench.done(CancelAll(actor("alice"), "COIN-USD", "one"))
    assert isinstance(in_one_market, KeyUsed)
    assert in_one_market.not_cancelled == ()


def test_anothers_order_cannot_be_told_from_one_that_does_not_exist(bench: Bench) -> None:
    order_id = place(bench)
    errors = []
    for identifier in (order_id, "nothing"):
        with pytest.raises(OrderNotOpen) as caught:
            bench.do(CancelOrder(actor("bob"), identifier))
        errors.append((caught.value.kind, caught.value.reason, caught.value.message))
    assert errors[0] == errors[1]


def test_cancel_all_closes_the_users_orders_in_one_market_or_all(bench: Bench) -> None:
    bench.reference("0.01", market="DUST-USD")
    place(bench)
    bench.done(bench.limit("alice", Side.SELL, "1", "101"))
    bench.done(bench.limit("alice", Side.BUY, "50", "0.0099", market="DUST-USD"))
    bench.done(bench.limit("bob", Side.BUY, "1", "99"))
    assert len(bench.done(CancelAll(actor("alice"), "COIN-USD"))) == 2
    assert len(bench.done(CancelAll(actor("alice"), idempotency_key="all"))) == 2
    assert isinstance(bench.do(CancelAll(actor("alice"), idempotency_key="all")), Repeat)
    assert [order.user_id for order in bench.exchange.state.orders.values()] == ["bob"]
    assert bench.done(CancelAll(actor("alice"))) == []


def test_cancels_pass_in_a_cancel_only_market_and_not_in_a_halted_one(bench: Bench) -> None:
    first, second = place(bench), place(bench)
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, status=MarketStatus.HALTED), "incident"))
    with pytest.raises(ServiceError, match="halted"):
        bench.do(CancelOrder(actor("alice"), first))
    bench.done(SetMarket(OPERATOR, replace(COIN_USD, status=MarketStatus.CANCEL_ONLY), "incident"))
    assert bench.done(CancelOrder(actor("alice"), second))


def transfer(*postings: tuple[str, str, int], key: str = "t") -> Transfer:
    return Transfer(OPERATOR, key, "adjustment", tuple(Posting(*posting) for posting in postings), "why")


def test_a_transfer_happens_once_per_business_key(bench: Bench) -> None:
    command = transfer(("external", "USD", -5), ("user:carol", "USD", 5))
    (posted,) = bench.done(command)
    assert isinstance(posted, TransferPosted)
    assert (posted.actor, posted.reason) == (OPERATOR, "why")
    assert bench.do(command) == Repeat(bench.exchange.state.batch_number, transfer_id=posted.transfer_id)
    assert bench.money("carol", "USD") == (5, 0)
    with pytest.raises(BusinessKeyReused):
        bench.do(transfer(("external", "USD", -6), ("user:carol", "USD", 6)))


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (transfer(("external", "USD", -5)), InvalidTransfer),
        (transfer(("external", "USD", -5), ("user:carol", "USD", 4)), InvalidTransfer),
        (transfer(("external", "USD", -5), ("user:carol", "COIN", 5)), InvalidTransfer),
        (transfer(("external", "USD", 0), ("user:carol", "USD", 0)), InvalidTransfer),
        (transfer(("external", "USD", -5), ("user:", "USD", 5)), InvalidTransfer),
        (transfer(("external", "USD", -5), ("nobody", "USD", 5)), InvalidTransfer),
        (transfer(("user:alice", "USD", -5), ("user:alice", "USD", 5)), InvalidTransfer),
        (transfer(("external", "NONE", -5), ("user:carol", "NONE", 5)), UnknownAsset),
        (transfer(("external", "USD", -5), ("user:carol", "USD", 5), key=""), InvalidTransfer),
        (transfer(("user:carol", "USD", -5), ("external", "USD", 5)), InsufficientFunds),
        (transfer(("fees", "USD", -5), ("user:carol", "USD", 5)), InsufficientFunds),
        (transfer(("external", "USD", -(2**63)), ("user:carol", "USD", 2**63)), AmountTooLarge),
    ],
)
def test_a_transfer_that_does_not_balance_or_cannot_be_paid_is_refused(
    bench: Bench, command: Transfer, error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        bench.do(command)
    bench.assert_sound()


def test_held_money_cannot_be_transferred(bench: Bench) -> None:
    bench.done(bench.limit("alice", Side.SELL, "50", "101"))
    with pytest.raises(InsufficientFunds) as caught:
        bench.do(transfer(("user:alice", "COIN", -51 * UNIT), ("external", "COIN", 51 * UNIT)))
    assert caught.value.details["available"] == "50"


def test_batches_follow_each_other_and_time_never_goes_back(bench: Bench) -> None:
    number = bench.exchange.state.batch_number
    with pytest.raises(ValueError, match="does not follow"):
        bench.do(StartBatch(number + 2, bench.now))
    with pytest.raises(ValueError, match="is before"):
        bench.do(StartBatch(number + 1, bench.now - 1))


def test_a_reader_stops_at_an_event_that_it_does_not_know(bench: Bench) -> None:
    with pytest.raises(KeyError):
        bench.exchange.apply("something new")  # type: ignore[arg-type]
