"""Transfers and the ledger's questions, over gRPC."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from chassis.errors import RemoteError
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from cryptovault.trading.v1 import trading_pb2
from exchange_over_grpc import Exchange, buy, logged_events, rest, running_exchange
from google.protobuf.timestamp_pb2 import Timestamp
from shell_factory import PRICE, UNIT
from trading.projector.ledger_reader import LedgerReader, PostingPage
from trading.storage.journal import MongoJournal

ANN = Caller("gateway", "ann", "session", "request-1", "203.0.113.7")
BOB = Caller("gateway", "bob", "session", "request-2", "203.0.113.8")


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as running:
        yield running


def withdrawal(key: str, amount: str = "10") -> trading_pb2.HoldTransferRequest:
    legs = [
        trading_pb2.TransferLeg(asset="USD", amount=amount, debit_account="user:ann", credit_account="external"),
        trading_pb2.TransferLeg(asset="USD", amount="0.5", debit_account="user:ann", credit_account="fees"),
    ]
    return trading_pb2.HoldTransferRequest(business_key=key, kind="withdrawal", legs=legs)


async def test_a_withdrawal_in_two_phases_and_its_repeats(exchange: Exchange) -> None:
    await exchange.pay("ann", "100", "practice:ann")
    held = await exchange.ledger.HoldTransfer(withdrawal("w1"))
    assert (await exchange.ledger.HoldTransfer(withdrawal("w1"))).replayed
    assert exchange.shell.balance("ann", "USD") == (UNIT * 179 // 2, UNIT * 21 // 2)
    post = trading_pb2.PostTransferRequest(business_key="w1:sent", hold_key="w1")
    posted = [await exchange.ledger.PostTransfer(post) for _ in range(2)]
    assert [(reply.transfer_id, reply.replayed) for reply in posted] == [
        (held.transfer_id, False),
        (held.transfer_id, True),
    ]
    await exchange.ledger.HoldTransfer(withdrawal("w2"))
    void = trading_pb2.VoidTransferRequest(business_key="w2:failed", hold_key="w2", reason="no such address")
    assert [(await exchange.ledger.VoidTransfer(void)).replayed for _ in range(2)] == [False, True]
    assert exchange.shell.balance("ann", "USD") == (UNIT * 179 // 2, 0)
    assert [event.sequence for event in await logged_events(exchange, ANN)] == [1, 2, 3, 4, 5]
    journal = (await exchange.journal.ReadJournal(trading_pb2.ReadJournalRequest(limit=100))).batches
    everything = [event for batch in journal for event in batch.events]
    # First of all the exchange listed its assets and markets.
    events = [event for event in everything if event.WhichOneof("event") != "operator_acted"]
    assert everything[-len(events) :] == events
    assert {event.reason for event in everything[: -len(events)]} == {"listed"}
    assert [event.WhichOneof("event") for event in events] == [
        "transferred", "transfer_held", "transferred", "transfer_held", "transfer_released",
    ]  # fmt: skip
    assert {event.actor.credential_id for event in events} == {"portfolio"}
    assert [event.reason for event in events] == ["", "", "", "", "no such address"]
    assert events[1].transfer_held.postings == events[2].transferred.postings
    assert [(part.account, part.amount) for part in events[2].transferred.released] == [("user:ann", "10.5")]
    assert (events[4].transfer_released.end, events[4].transfer_released.hold_key) == ("voided", "w2")


async def test_what_is_wrong_with_a_transfer_is_refused_with_its_reason(exchange: Exchange) -> None:
    await exchange.pay("ann", "100", "practice:ann")
    await exchange.ledger.HoldTransfer(withdrawal("w1"))
    post, void = trading_pb2.PostTransferRequest, trading_pb2.VoidTransferRequest
    hold, leg = exchange.ledger.HoldTransfer, trading_pb2.TransferLeg
    cases: list[tuple[Any, Any, str]] = [
        (hold, withdrawal("w2", "1000"), "insufficient_funds"),
        *((hold, withdrawal("w2", text), "invalid_argument") for text in ("NaN", "-1", "1e3", "0", "", "1\n")),
        (hold, withdrawal("w2", "0." + "1" * 18), "too_many_decimals"),
        (hold, withdrawal("ü"), "invalid_argument"),
        (hold, withdrawal(""), "invalid_transfer"),
        (hold, trading_pb2.HoldTransferRequest(business_key="w2", kind="withdrawal"), "invalid_argument"),
        (exchange.ledger.PostTransfer, post(business_key="p", hold_key="nothing"), "transfer_not_found"),
        (exchange.ledger.PostTransfer, post(business_key="w1", hold_key="w1"), "business_key_reused"),
        (exchange.ledger.PostTransfer, post(business_key="p", hold_key="w1", legs=[
            leg(asset="USD", amount="11", debit_account="user:ann", credit_account="external")
        ]), "invalid_transfer"),
        (exchange.ledger.VoidTransfer, void(business_key="v" * 256, hold_key="w1"), "invalid_argument"),
    ]  # fmt: skip
    expiring = withdrawal("w2")
    expiring.expires_at.FromSeconds(4_000_000_000)
    beyond = withdrawal("w2")
    beyond.expires_at.seconds = 2**60
    cases += [(hold, expiring, "invalid_transfer"), (hold, beyond, "invalid_argument")]
    for call, request, reason in cases:
        with pytest.raises(RemoteError) as refusal:
            await call(request)
        assert refusal.value.reason == reason, request
    state = exchange.shell.state
    assert (state.transfer_number, list(state.pending_transfers)) == (2, ["w1"])


async def test_a_balance_is_explained_and_read_as_it_was(exchange: Exchange) -> None:
    await exchange.pay("ann", "1000", "practice:ann")
    await exchange.ask(
        exchange.request("ann", "k1", **buy("100.10")), exchange.request("ann", "k2", **rest("buy", "0.001", "100"))
    )
    low = str(PRICE // UNIT - 5_000)
    await exchange.ask(exchange.request("ann", "k3", **rest("buy", "0.001", low)))
    held = await exchange.ledger.HoldTransfer(withdrawal("w1"))
    queries = exchange.queries
    with use_caller(ANN):
        explained = await queries.ExplainBalance(
            trading_pb2.ExplainBalanceRequest(asset="USD", limit=1, at_least_batch=held.batch)
        )
        balances = await exchange.trading.GetBalances(trading_pb2.GetBalancesRequest())
        postings, cursor = list(explained.postings), explained.next_cursor
        while cursor:
            page = await queries.ListPostings(trading_pb2.ListPostingsRequest(asset="USD", limit=1, cursor=cursor))
            postings, cursor = [*postings, *page.postings], page.next_cursor
        now = await queries.GetBalancesAsOf(trading_pb2.GetBalancesAsOfRequest(sequence=balances.sequence))
        first = await queries.GetBalancesAsOf(trading_pb2.GetBalancesAsOfRequest(sequence=1))
        early = await queries.GetBalancesAsOf(trading_pb2.GetBalancesAsOfRequest(time=Timestamp(seconds=1)))
        then = await queries.GetBalancesAsOf(trading_pb2.GetBalancesAsOfRequest(time=now.time, asset="USD"))
        at_last = Timestamp(seconds=253_402_300_799)  # 9999-12-31T23:59:59Z: whatever has happened by now
        newest = await queries.GetBalancesAsOf(trading_pb2.GetBalancesAsOfRequest(time=at_last))
    usd = next(balance for balance in balances.balances if balance.asset == "USD")
    assert explained.balance == usd
    assert (newest.sequence, newest.balances) == (balances.sequence, now.balances)
    total = Decimal(usd.available) + Decimal(usd.held)
    assert Decimal(explained.total) == total == sum(Decimal(posting.amount) for posting in postings)
    assert sorted(hold.kind for hold in explained.holds) == ["order", "withdrawal"]
    assert sum(Decimal(hold.amount) for hold in explained.holds) == Decimal(usd.held) > 0
    assert [(posting.kind, list(posting.counterparties), posting.balance_after) for posting in postings] == [
        ("trade", ["house", "fees"], explained.total),
        ("practice_money", ["external"], "1000"),
    ]
    assert (now.balances, now.sequence) == (balances.balances, balances.sequence)
    assert [(balance.asset, balance.available) for balance in first.balances] == [("USD", "1000")]
    assert (list(early.balances), early.sequence, early.HasField("time")) == ([], 0, False)
    assert list(then.balances) == [usd]
    with use_caller(BOB):
        assert not (await queries.ListPostings(trading_pb2.ListPostingsRequest())).postings
        assert (await queries.ExplainBalance(trading_pb2.ExplainBalanceRequest(asset="USD"))).total == "0"


async def test_a_balance_and_the_postings_that_explain_it_are_of_one_moment(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid = await exchange.pay("ann", "1000", "practice:ann")
    read = LedgerReader.postings

    async def read_late(*arguments: Any, **named: Any) -> PostingPage:
        """More is paid between the look at the balance and the look at its postings."""
        late = await exchange.pay("ann", "5", "late")
        assert await exchange.projector.reached(late.batch, 10)
        return await read(*arguments, **named)

    monkeypatch.setattr(LedgerReader, "postings", read_late)
    question = trading_pb2.ExplainBalanceRequest(asset="USD", at_least_batch=paid.batch)
    with use_caller(ANN):
        explained = await exchange.queries.ExplainBalance(question)
        again = await exchange.queries.ExplainBalance(question)
    assert (explained.total, [posting.balance_after for posting in explained.postings]) == ("1000", ["1000"])
    assert (again.total, [posting.balance_after for posting in again.postings]) == ("1005", ["1005", "1000"])


async def test_who_took_the_other_side_of_a_trade_stays_unknown(exchange: Exchange) -> None:
    for user in ("ann", "bob"):
        await exchange.pay(user, "1000", f"practice:{user}")
    await exchange.ask(exchange.request("ann", "k1", **buy("200")))
    price = str(PRICE // UNIT)
    (resting,) = await exchange.ask(exchange.request("ann", "k2", **rest("sell", "0.001", price)))
    (taken,) = await exchange.ask(exchange.request("bob", "k3", **rest("buy", "0.001", price)))
    assert [fill.price for fill in taken.result.fills] == [price]
    seen = {}
    for caller in (ANN, BOB):
        with use_caller(caller):
            batch = (await exchange.trading.GetBalances(trading_pb2.GetBalancesRequest())).batch
            replies = [
                await exchange.queries.ListPostings(trading_pb2.ListPostingsRequest(at_least_batch=batch)),
                await exchange.queries.ExplainBalance(trading_pb2.ExplainBalanceRequest(asset="USD")),
                await exchange.queries.ListFills(trading_pb2.ListFillsRequest(at_least_batch=batch)),
                await exchange.queries.ListOrders(trading_pb2.ListOrdersRequest()),
                await exchange.queries.ListUserEvents(trading_pb2.ListUserEventsRequest(at_least_batch=batch)),
            ]
        assert any("user" in posting.counterparties for posting in replies[0].postings)
        seen[caller.user_id] = "".join(str(reply) for reply in replies)
    for reader, other, order in (("ann", "bob", taken), ("bob", "ann", resting)):
        assert order.result.order.id in seen[other]
        assert order.result.order.id not in seen[reader]
        assert other not in seen[reader]


async def test_before_anything_had_happened_there_was_nothing(exchange: Exchange) -> None:
    as_of, postings = trading_pb2.GetBalancesAsOfRequest, trading_pb2.ListPostingsRequest
    paid = await exchange.pay("ann", "1000", "practice:ann")
    with use_caller(ANN):
        (posting,) = (await exchange.queries.ListPostings(postings(at_least_batch=paid.batch))).postings
    just_before = Timestamp()
    just_before.FromMilliseconds(posting.time.ToMilliseconds() - 1)
    for moment in (just_before, Timestamp(seconds=0)):
        with use_caller(ANN):
            then = await exchange.queries.GetBalancesAsOf(as_of(time=moment, at_least_batch=paid.batch))
            page = await exchange.queries.ListPostings(postings(to_time=moment))
            since = await exchange.queries.ListPostings(postings(from_time=moment))
        assert (list(then.balances), then.sequence, list(page.postings)) == ([], 0, [])
        assert not then.HasField("time")
        assert len(since.postings) == 1


async def test_what_the_ledger_cannot_tell_is_refused(exchange: Exchange) -> None:
    paid = await exchange.pay("ann", "1000", "practice:ann")
    queries = exchange.queries
    as_of, postings = trading_pb2.GetBalancesAsOfRequest, trading_pb2.ListPostingsRequest
    cases: list[tuple[Any, Any, str]] = [
        (queries.GetBalancesAsOf, as_of(), "invalid_argument"),
        (queries.GetBalancesAsOf, as_of(sequence=2), "no_such_event"),
        (queries.GetBalancesAsOf, as_of(sequence=2**63), "no_such_event"),
        (queries.GetBalancesAsOf, as_of(time=Timestamp(seconds=2**60)), "invalid_argument"),
        (queries.GetBalancesAsOf, as_of(sequence=1, asset="NONE"), "unknown_asset"),
        (queries.ListPostings, postings(asset="NONE"), "unknown_asset"),
        (queries.ListPostings, postings(kind="trades"), "invalid_argument"),
        (queries.ListPostings, postings(limit=201), "invalid_argument"),
        (queries.ListPostings, postings(limit=-1), "invalid_argument"),
        (queries.ListPostings, postings(cursor="x"), "invalid_argument"),
        (queries.ListPostings, postings(from_time=Timestamp(seconds=-1)), "invalid_argument"),
        (queries.ExplainBalance, trading_pb2.ExplainBalanceRequest(), "invalid_argument"),
        (queries.ExplainBalance, trading_pb2.ExplainBalanceRequest(asset="NONE"), "unknown_asset"),
    ]
    for call, request, reason in cases:
        with use_caller(ANN), pytest.raises(RemoteError) as refusal:
            await call(request)
        assert refusal.value.reason == reason, request
    # By the names that the public door has for them.
    first, last = "1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"
    for call, request, field, limit in (
        (queries.GetBalancesAsOf, as_of(time=Timestamp(seconds=-1, nanos=999_999_999)), "as_of", first),
        (queries.GetBalancesAsOf, as_of(time=Timestamp(seconds=2**60)), "as_of", last),
        (queries.ListPostings, postings(from_time=Timestamp(seconds=-1)), "from", first),
        (queries.ListPostings, postings(to_time=Timestamp(seconds=-1)), "to", first),
    ):
        with use_caller(ANN), pytest.raises(RemoteError) as refusal:
            await call(request)
        assert (refusal.value.details["field"], refusal.value.details["limit"]) == (field, limit)
    with use_caller(ANN):
        with pytest.raises(RemoteError) as refusal:
            await queries.ListPostings(postings(kind="trades"))
        assert refusal.value.details == {
            "field": "kind", "rule": "one_of",
            "limit": "trade, practice_money, deposit, withdrawal, user_transfer, fee, adjustment",
        }  # fmt: skip
        for kind, found in (("practice_money", 1), ("trade", 0)):
            page = await queries.ListPostings(postings(kind=kind, at_least_batch=paid.batch))
            assert len(page.postings) == found
    with pytest.raises(RemoteError) as refusal:
        await queries.ListPostings(postings())
    assert refusal.value.reason == "not_signed_in"
