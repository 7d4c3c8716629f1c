"""A balance is explained by its owner's own holds and postings; of those of others nothing is ever seen."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from chassis.errors import RemoteError
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from cryptovault.trading.v1 import trading_pb2
from exchange_over_grpc import Exchange, rest, running_exchange
from shell_factory import PRICE, UNIT
from trading.storage.journal import MongoJournal

ANN = Caller("gateway", "ann", "session", "request-1", "203.0.113.7")
BOB = Caller("gateway", "bob", "session", "request-2", "203.0.113.8")
OPERATOR = Caller("portfolio", "operator", "session", "request-3", "203.0.113.9")
LOW = str(PRICE // UNIT - 5_000)  # rests


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as running:
        for user in ("ann", "bob"):
            await running.pay(user, "1000", f"practice:{user}")
        yield running


def leg(debit: str, credit: str, amount: str) -> trading_pb2.TransferLeg:
    return trading_pb2.TransferLeg(asset="USD", amount=amount, debit_account=debit, credit_account=credit)


async def hold(exchange: Exchange, key: str, kind: str, *legs: trading_pb2.TransferLeg) -> trading_pb2.TransferResponse:
    request = trading_pb2.HoldTransferRequest(business_key=key, kind=kind, legs=legs, reason="a test")
    with use_caller(OPERATOR):
        reply: trading_pb2.TransferResponse = await exchange.ledger.HoldTransfer(request, timeout=5)
    return reply


async def explained(exchange: Exchange, caller: Caller, asset: str = "USD") -> trading_pb2.ExplainBalanceResponse:
    assert await exchange.projector.reached(exchange.shell.state.batch_number, 5.0)
    with use_caller(caller):
        answer: trading_pb2.ExplainBalanceResponse = await exchange.queries.ExplainBalance(
            trading_pb2.ExplainBalanceRequest(asset=asset)
        )
    return answer


def amounts(answer: trading_pb2.ExplainBalanceResponse) -> list[tuple[str, str]]:
    return sorted((one.kind, one.amount) for one in answer.holds)


async def test_orders_and_withdrawals_of_others_hold_nothing_of_mine(exchange: Exchange) -> None:
    (order,) = await exchange.ask(exchange.request("bob", "k", **rest("buy", "0.001", LOW)))
    withdrawal = await hold(exchange, "w:bob", "withdrawal", leg("user:bob", "external", "17"))
    mine, others = await explained(exchange, ANN), await explained(exchange, BOB)
    assert (list(mine.holds), mine.balance.held, mine.total) == ([], "0", "1000")
    assert {one.kind for one in others.holds} == {"order", "withdrawal"}
    for secret in (order.result.order.id, withdrawal.transfer_id, "w:bob", "bob"):
        assert secret not in str(mine)
    assert [posting.amount for posting in mine.postings] == ["1000"]


async def test_of_a_transfer_that_holds_from_several_each_sees_their_own_part(exchange: Exchange) -> None:
    both = await hold(
        exchange, "both", "adjustment", leg("user:ann", "fees", "3.25"), leg("user:bob", "fees", "41.5")
    )  # fmt: skip
    mine, others = await explained(exchange, ANN), await explained(exchange, BOB)
    assert (amounts(mine), mine.balance.held) == ([("adjustment", "3.25")], "3.25")
    assert (amounts(others), others.balance.held) == ([("adjustment", "41.5")], "41.5")
    assert "41.5" not in str(mine)
    assert "bob" not in str(mine)
    for one in (mine, others):
        assert sum(Decimal(part.amount) for part in one.holds) == Decimal(one.balance.held)
    assert not (await explained(exchange, ANN, "BTC")).holds
    with use_caller(OPERATOR):
        await exchange.ledger.PostTransfer(
            trading_pb2.PostTransferRequest(business_key="both:done", hold_key="both", reason="a test"), timeout=5
        )
    mine = await explained(exchange, ANN)
    assert (list(mine.holds), mine.balance.held, mine.total) == ([], "0", "996.75")
    assert [(posting.amount, posting.transfer_id) for posting in mine.postings] == [
        ("-3.25", both.transfer_id), ("1000", mine.postings[1].transfer_id),
    ]  # fmt: skip
    assert "41.5" not in str(mine)


async def test_who_never_had_anything_and_who_is_nobody_see_nothing(exchange: Exchange) -> None:
    await hold(exchange, "w:bob", "withdrawal", leg("user:bob", "external", "17"))
    stranger = await explained(exchange, Caller("gateway", "carol", "session", "request", "203.0.113.7"))
    assert (list(stranger.holds), list(stranger.postings), stranger.total) == ([], [], "0")
    # Names of accounts are not names of users.
    for name in ("external", "fees", "house", "user:bob", "ser:bob"):
        named = await explained(exchange, Caller("gateway", name, "session", "request", "203.0.113.7"))
        assert (list(named.holds), list(named.postings), named.total) == ([], [], "0"), name
    with pytest.raises(RemoteError) as nobody:
        await exchange.queries.ExplainBalance(trading_pb2.ExplainBalanceRequest(asset="USD"))
    assert nobody.value.reason == "not_signed_in"
