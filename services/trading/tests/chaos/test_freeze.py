"""A projector's memory goes wrong; the leader stops what that puts in doubt, and only a person lets it go on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from chassis.errors import RemoteError
from chassis.identity import Caller, use_caller
from chassis.leader_channel import open_leader_channel
from chassis.mongo import MongoConnection
from chassis.testing import eventually
from chassis.testing.services import identity_of
from cryptovault.trading.v1 import operator_pb2, operator_pb2_grpc, trading_pb2, trading_pb2_grpc
from exchange_processes import START_SECONDS_MAX, USERS, Processes, pay_everybody, trading_stub
from trading.domain.events import AssetFrozen, AssetUnfrozen, MarketSet
from trading.domain.markets import MarketStatus
from whole_journal import read_whole_journal

OPERATOR = Caller("gateway", "olga", "session", "request-9", None, frozenset({"markets:write"}))
ANN = Caller("gateway", USERS[0], "session", "request-1", None)
SUSPECT, SOUND = "USD", "BTC"


@asynccontextmanager
async def stubs(address: str) -> AsyncIterator[tuple[Any, Any, Any]]:
    """Of the exchange and its operators as the gateway calls them, and of the ledger as portfolio does."""
    channel = open_leader_channel(address, to="trading", identity=identity_of("gateway"), deadline_seconds=2.0)
    async with trading_stub(address, of="portfolio") as ledger:
        yield (
            trading_pb2_grpc.TradingServiceStub(channel),
            operator_pb2_grpc.TradingOperatorServiceStub(channel),
            ledger,
        )
    await channel.close()


def withdrawal(key: str) -> trading_pb2.HoldTransferRequest:
    leg = trading_pb2.TransferLeg(
        asset=SUSPECT, amount="1", debit_account=f"user:{USERS[0]}", credit_account="external"
    )
    return trading_pb2.HoldTransferRequest(business_key=key, kind="withdrawal", legs=[leg])


async def violations(processes: Processes) -> dict[str, float]:
    """By invariant, as the projector's metrics tell them."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{processes.metrics_port}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("cryptovault_invariant_violations_total{")]
    return {line.split('"')[1]: float(line.rpartition(" ")[2]) for line in lines}


async def test_a_corrupt_fold_stops_withdrawals_and_trading_until_an_operator_has_looked(
    processes: Processes, mongo: MongoConnection, tmp_path: Path
) -> None:
    corrupt = tmp_path / "corrupt"
    await processes.start_trading()
    await processes.start_projector("corrupt_projector", str(corrupt), f"user:{USERS[0]}", SUSPECT)
    await pay_everybody(processes.trading_address)
    async with stubs(processes.trading_address) as (trading, operator, ledger):

        async def reason_frozen() -> str:
            with use_caller(OPERATOR):
                listed = await operator.ListAssets(operator_pb2.ListAssetsRequest())
            return next(str(asset.frozen_because) for asset in listed.assets if asset.code == SUSPECT)

        async def first_withdrawal() -> bool:
            with use_caller(ANN):
                return bool((await ledger.HoldTransfer(withdrawal("w1"))).transfer_id)

        await eventually(first_withdrawal, START_SECONDS_MAX)
        assert await reason_frozen() == ""
        assert await violations(processes) == {}

        corrupt.touch()
        with use_caller(ANN):
            await ledger.HoldTransfer(withdrawal("w2"))  # its batch is the one after which memory is wrong
        await eventually(reason_frozen, START_SECONDS_MAX)
        assert set(await violations(processes)) & {"M1", "M6"}
        with use_caller(ANN), pytest.raises(RemoteError) as refusal:
            await ledger.HoldTransfer(withdrawal("w3"))
        assert (refusal.value.reason, refusal.value.details["asset"]) == ("asset_frozen", SUSPECT)
        markets = (await trading.ListMarkets(trading_pb2.ListMarketsRequest())).markets
        assert {market.status for market in markets if SUSPECT in {market.base_asset, market.quote_asset}} == {
            "cancel_only"
        }
        # What was held before ends as it ends.
        with use_caller(ANN):
            await ledger.PostTransfer(trading_pb2.PostTransferRequest(business_key="w1:sent", hold_key="w1"))

        # The wrong memory is gone with its process; the journal never was wrong. Still nothing opens by itself.
        await processes.kill("projector")
        await processes.start_projector()
        assert await reason_frozen()
        with use_caller(OPERATOR):
            unfreeze = operator_pb2.UnfreezeAssetRequest(asset=SUSPECT, reason="the projector's memory was corrupt")
            await operator.UnfreezeAsset(unfreeze)
        with use_caller(ANN):
            await ledger.HoldTransfer(withdrawal("w3"))

    journal = await read_whole_journal(mongo)
    frozen = [event for event in journal.events if isinstance(event, AssetFrozen)]
    unfrozen = [event for event in journal.events if isinstance(event, AssetUnfrozen)]
    assert {event.asset for event in frozen} == {SUSPECT}
    assert all((event.actor.credential_id, event.actor.user_id) == ("trading-projector", "") for event in frozen)
    assert [(event.actor.user_id, event.reason) for event in unfrozen] == [
        ("olga", "the projector's memory was corrupt")
    ]
    stopped = [event for event in journal.events if isinstance(event, MarketSet) and event.reason == frozen[0].reason]
    assert {event.market.status for event in stopped} == {MarketStatus.CANCEL_ONLY}
    # No balance was put right: the journal's are what the customers paid in and took out.
    account = journal.exchange.state.owners[f"user:{USERS[0]}"].accounts[SUSPECT]
    assert (account.available + account.held, account.held) == (99_999_900_000_000, 200_000_000)
