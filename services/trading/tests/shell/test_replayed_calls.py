"""A command between services that somebody overheard and sends again, to the same process or after a restart."""

import grpc
import pytest
from chassis.failures import error_info
from chassis.identity import Caller, caller_metadata
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from chassis.testing.services import identity_of
from cryptovault.trading.v1 import operator_pb2, trading_pb2
from exchange_over_grpc import Exchange, running_exchange
from google.protobuf.message import Message
from shell_factory import UNIT
from trading.storage.journal import MongoJournal

OPERATOR = Caller("", "operator", "session", "request-9", "203.0.113.9", frozenset({"markets:write"}))
BEN = "01890000-0000-7000-8000-00000000000b"
LEDGER, RULES = "/cryptovault.trading.v1.TradingService/", "/cryptovault.trading.v1.TradingOperatorService/"

Metadata = list[tuple[str, str]]
# Which service, method, request.
Said = tuple[str, str, bytes]
Overheard = tuple[str, Metadata, bytes]


def said(service: str, method: str, request: Message) -> Said:
    return service, method, request.SerializeToString()


def overheard(calls: list[Said], process: str) -> list[Overheard]:
    """As they go over the wire to that process."""
    heard = []
    for service, method, body in calls:
        metadata, signer = caller_metadata(OPERATOR, service=service), identity_of(service).signer_to("trading")
        signer.process = process
        heard.append((method, [*metadata, signer.token(method, metadata, body)], body))
    return heard


def leg(credit: str = "user:ann", debit: str = "external", amount: str = "100") -> trading_pb2.TransferLeg:
    return trading_pb2.TransferLeg(asset="USD", amount=amount, debit_account=debit, credit_account=credit)


def everything() -> list[Said]:
    """One of each command of others that moves money or changes rules, in an order in which each does something."""
    out = [leg("external", "user:ann", "10")]
    transfer, hold = trading_pb2.TransferRequest, trading_pb2.HoldTransferRequest
    post, void = trading_pb2.PostTransferRequest, trading_pb2.VoidTransferRequest
    change = operator_pb2.ChangeMarketRequest(
        symbol="BTC-USD", version=1, reason="a test", idempotency_key="k1",
        change=operator_pb2.MarketChange(taker_fee_basis_points=11),
    )  # fmt: skip
    rates = operator_pb2.UserFees(maker_fee_basis_points=1, taker_fee_basis_points=2)
    return [
        said("portfolio", f"{LEDGER}Transfer", transfer(business_key="d1", kind="deposit", legs=[leg()])),
        said("portfolio", f"{LEDGER}Transfer", transfer(business_key="d2", kind="deposit", legs=[leg(f"user:{BEN}")])),
        said("portfolio", f"{LEDGER}HoldTransfer", hold(business_key="w1", kind="withdrawal", legs=out)),
        said("portfolio", f"{LEDGER}HoldTransfer", hold(business_key="w2", kind="withdrawal", legs=out)),
        said("portfolio", f"{LEDGER}PostTransfer", post(business_key="w1:sent", hold_key="w1")),
        said("portfolio", f"{LEDGER}VoidTransfer", void(business_key="w2:no", hold_key="w2")),
        said("gateway", f"{RULES}ChangeMarket", change),
        said("gateway", f"{RULES}SetUserFees", operator_pb2.SetUserFeesRequest(user_id=BEN, fees=rates, reason="why")),
        said("gateway", f"{RULES}ResumeMarket", operator_pb2.ResumeMarketRequest(symbol="BTC-USD", reason="why")),
        said("gateway", f"{RULES}UnfreezeAsset", operator_pb2.UnfreezeAssetRequest(asset="USD", reason="looked")),
        said("trading-projector", f"{RULES}FreezeAsset", operator_pb2.FreezeAssetRequest(asset="USD", reason="why")),
    ]


async def outcomes(exchange: Exchange, calls: list[Overheard]) -> list[str]:
    """`ok`, or the reason of the refusal."""
    heard = []
    async with grpc.aio.insecure_channel(exchange.address) as channel:
        for method, metadata, body in calls:
            try:
                await channel.unary_unary(method)(body, metadata=metadata, timeout=30)
            except grpc.aio.AioRpcError as error:
                info = error_info(error)
                heard.append(str(error) if info is None else info.reason)
            else:
                heard.append("ok")
    return heard


async def facts(exchange: Exchange) -> list[str]:
    """All that ever happened, but for a leader's beginning."""
    await eventually(lambda: exchange.projector.fold.cursor.batch >= exchange.shell.state.batch_number)
    journal = await exchange.journal.ReadJournal(trading_pb2.ReadJournalRequest(limit=100))
    assert journal.batches[-1].number == journal.head
    return [str(event) for batch in journal.batches for event in batch.events]


async def test_whatever_is_overheard_changes_nothing_when_it_is_sent_again(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    async with running_exchange(mongo_journal, mongo_database) as exchange:
        calls = overheard(everything(), await process_of(exchange))
        assert await outcomes(exchange, calls) == ["ok"] * len(calls)
        done, balance = await facts(exchange), exchange.shell.balance("ann", "USD")
        assert await outcomes(exchange, calls) == ["call_not_trusted"] * len(calls)
        assert await facts(exchange) == done
    async with running_exchange(mongo_journal, mongo_database) as restarted:
        assert await outcomes(restarted, calls) == ["another_process"] * len(calls)
        assert restarted.shell.balance("ann", "USD") == balance
        assert await facts(restarted) == done


async def test_a_movement_of_money_that_is_made_anew_is_found_done(
    mongo_journal: MongoJournal, mongo_database: MongoDatabase
) -> None:
    """The caller's own repeat, with a token of its own: there the business key speaks."""
    async with running_exchange(mongo_journal, mongo_database) as exchange:
        process = await process_of(exchange)
        for _ in range(2):
            assert await outcomes(exchange, overheard(everything()[:1], process)) == ["ok"]
        assert exchange.shell.balance("ann", "USD") == (100 * UNIT, 0)


async def process_of(exchange: Exchange) -> str:
    method, metadata, body = overheard(everything(), "")[0]
    async with grpc.aio.insecure_channel(exchange.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await channel.unary_unary(method)(body, metadata=metadata, timeout=30)
    info = error_info(refusal.value)
    assert info is not None
    return str(info.metadata["process"])
