"""What does not add up is counted, told to the leader until it has heard, and never put right by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.errors import ErrorKind, RemoteBugError, RemoteError
from chassis.grpc_client import open_channel
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from chassis.testing.services import identity_of
from cryptovault.trading.v1 import operator_pb2, operator_pb2_grpc
from exchange_over_grpc import Exchange, buy, running_exchange
from trading.clients.leader import GrpcLeader
from trading.domain.markets import MarketStatus
from trading.domain.state import ExchangeState
from trading.journal.batch import SealedBatch, seal
from trading.journal.codec import decode_body, encode_body, encode_entry
from trading.projector import reconciler as reconciler_module
from trading.projector.fold import Fold
from trading.projector.reconciler import FROZEN, VIOLATIONS, Reconciler
from trading.projector.snapshot_taker import SnapshotTaker
from trading.storage.journal import MongoJournal
from trading.storage.projection import Changes
from trading.storage.snapshots import MANIFESTS, MongoSnapshots

OPERATOR = Caller("gateway", "olga", "session", "request-9", None, frozenset({"markets:write"}))
CLERK = Caller("gateway", "carl", "session", "request-9", None, frozenset({"users:read"}))
PROJECTOR = Caller("trading-projector", None, None, "", None)


@pytest.fixture
async def exchange(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Exchange]:
    async with running_exchange(mongo_journal, mongo_database) as running:
        for user in ("ann", "bob"):
            paid = await running.pay(user, "1000", f"practice:{user}")
        (answer,) = await running.ask(running.request("ann", "k", **buy("100")))
        assert await running.projector.reached(max(paid.batch, answer.result.batch), 10)
        yield running


def count(invariant: str) -> float:
    return float(VIOLATIONS.labels(invariant)._value.get())


class DeafLeader:
    """Hears of one asset only the third time."""

    def __init__(self, deaf_to: str = "") -> None:
        self.deaf_to = deaf_to
        self.heard: dict[str, str] = {}
        self.missed = 0

    async def freeze(self, asset: str, reason: str) -> None:
        if asset == self.deaf_to and self.missed < 2:
            self.missed += 1
            raise RemoteError(kind=ErrorKind.UNAVAILABLE, reason="not_leading", message="Changing hands.")
        self.heard[asset] = reason


def reconciler_of(exchange: Exchange, leader: Any = None, seconds: float = 60) -> Reconciler:
    return Reconciler(
        exchange.projector, leader or DeafLeader(), SystemClock(), interval_seconds=seconds, full_interval_seconds=3_600
    )


async def test_all_is_well_where_nothing_was_broken(exchange: Exchange) -> None:
    reconciler = reconciler_of(exchange)
    assert reconciler.check(full=True) == {}
    await exchange.pay("carl", "5", "practice:carl")
    await exchange.projector.reached(exchange.shell.state.batch_number, 10)
    assert reconciler.check(full=False) == {}
    assert reconciler.check(full=True) == {}


@pytest.mark.parametrize(
    ("corrupt", "invariant", "asset"),
    [
        (lambda state: _account(state, "USD", available=1), "M1", "USD"),
        (lambda state: _account(state, "USD", available=1), "M6", "USD"),
        (lambda state: _account(state, "BTC", available=-1, held=1), "M4", "BTC"),
        (lambda state: _account(state, "BTC", available=-(10**12)), "M3", "BTC"),
    ],
)
async def test_a_corrupt_fold_is_found_and_its_asset_named(
    exchange: Exchange, corrupt: Callable[[Any], None], invariant: str, asset: str
) -> None:
    reconciler = reconciler_of(exchange)
    before = count(invariant)
    corrupt(exchange.projector.fold.state)
    assert list(reconciler.check(full=True)) == [asset]
    assert count(invariant) > before


async def test_no_snapshot_is_taken_of_a_fold_that_does_not_add_up(
    exchange: Exchange, mongo_database: MongoDatabase
) -> None:
    taker = SnapshotTaker(exchange.projector, MongoSnapshots(mongo_database), SystemClock())
    account = exchange.projector.fold.state.owners["user:ann"].accounts["USD"]
    account.available += 1
    await taker.take()
    assert await mongo_database[MANIFESTS].count_documents({}) == 0
    account.available -= 1
    await taker.take()
    assert await mongo_database[MANIFESTS].count_documents({}) == 1


async def test_what_moves_is_checked_without_a_look_at_everything(exchange: Exchange) -> None:
    reconciler = reconciler_of(exchange)
    before = count("M6"), count("M20")
    assert reconciler.check(full=False) == {}
    _account(exchange.projector.fold.state, "USD", available=7)
    # Nothing of it moved since: only the look at everything sees it.
    assert reconciler.check(full=False) == {}
    paid = await exchange.pay("ann", "1", "more")
    assert await exchange.projector.reached(paid.batch, 10)
    reasons = reconciler.check(full=False)
    # The books differ, and the writer of the batch says so too.
    assert list(reasons) == ["USD"]
    assert count("M6") > before[0]
    assert count("M20") > before[1]


async def test_a_fold_that_differs_from_its_writer_says_so(exchange: Exchange, mongo_journal: MongoJournal) -> None:
    fold = Fold()
    batches = await mongo_journal.read_after(0, 100)
    for batch in batches[:-1]:
        fold.apply(batch, Changes())
    fold.apply(_with_other_accounts(batches[-1]), Changes())
    (discrepancy,) = fold.discrepancies
    assert (discrepancy.invariant, discrepancy.subject) == ("M20", "user:ann/USD")


async def test_the_leader_is_told_until_it_has_heard(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler_module, "RETRY_SECONDS", 0.01)
    leader = DeafLeader("BTC")
    for asset in ("BTC", "USD"):
        _account(exchange.projector.fold.state, asset, available=1)
    running = asyncio.create_task(reconciler_of(exchange, leader).run())
    await eventually(lambda: set(leader.heard) == {"BTC", "USD"})
    running.cancel()
    assert leader.missed == 2
    assert all(reason.startswith("M") for reason in leader.heard.values())


async def test_what_moved_is_checked_often_and_everything_now_and_then(exchange: Exchange) -> None:
    checked: list[bool] = []

    class Watched(Reconciler):
        def check(self, *, full: bool) -> dict[str, str]:
            checked.append(full)
            return super().check(full=full)

    reconciler = Watched(
        exchange.projector, DeafLeader(), SystemClock(), interval_seconds=0.01, full_interval_seconds=0.1
    )
    running = asyncio.create_task(reconciler.run())
    await eventually(lambda: checked.count(True) == 3)
    running.cancel()
    assert checked[:2] == [True, False]
    assert checked.count(False) >= 6


async def test_a_violation_freezes_the_asset_until_a_person_unfreezes_it(exchange: Exchange) -> None:
    fold = exchange.projector.fold
    before = _accounts(exchange.shell.state)
    _account(fold.state, "BTC", available=1)
    state = exchange.shell.state
    async with open_channel(exchange.address, to="trading", identity=identity_of("trading-projector")) as channel:
        reconciler = reconciler_of(exchange, GrpcLeader(channel), seconds=0.05)
        running = asyncio.create_task(reconciler.run())
        await eventually(lambda: "BTC" in state.frozen_assets)
        running.cancel()
    assert state.markets["BTC-USD"].market.status is MarketStatus.CANCEL_ONLY
    assert state.markets["ETH-USD"].market.status is MarketStatus.TRADING
    (answer,) = await exchange.ask(exchange.request("ann", "late", **buy("100")))
    assert answer.failure.reason == "market_cancel_only"
    with use_caller(OPERATOR):
        listed = await exchange.operator.ListAssets(operator_pb2.ListAssetsRequest())
        assets = {asset.code: asset for asset in listed.assets}
        assert "M" in assets["BTC"].frozen_because
        assert not assets["ETH"].frozen_because
        unfreeze = operator_pb2.UnfreezeAssetRequest(asset="BTC", reason="the fold was corrupt, the journal is sound")
        assert not (await exchange.operator.UnfreezeAsset(unfreeze)).asset.frozen_because
    assert state.frozen_assets == {}
    assert state.markets["BTC-USD"].market.status is MarketStatus.CANCEL_ONLY
    # Nothing was put right by itself, and nothing wrong.
    assert _accounts(state) == before
    await exchange.projector.reached(exchange.shell.state.batch_number, 10)
    reconciler.check(full=False)
    assert FROZEN.labels("BTC")._value.get() == 0


@pytest.fixture
async def projectors_stub(exchange: Exchange) -> AsyncIterator[Any]:
    async with open_channel(exchange.address, to="trading", identity=identity_of("trading-projector")) as channel:
        yield operator_pb2_grpc.TradingOperatorServiceStub(channel)


async def test_only_the_reconciler_freezes_and_only_an_operator_unfreezes(
    exchange: Exchange, projectors_stub: Any
) -> None:
    freeze = operator_pb2.FreezeAssetRequest(asset="BTC", reason="M1")
    unfreeze = operator_pb2.UnfreezeAssetRequest(asset="BTC", reason="seen")
    projector = projectors_stub
    for call, request in ((exchange.operator.FreezeAsset, freeze), (projector.UnfreezeAsset, unfreeze)):
        with use_caller(OPERATOR), pytest.raises(RemoteBugError, match="service_not_allowed"):
            await call(request)
    refusals: list[tuple[Any, Any, Caller, str]] = [
        (projector.FreezeAsset, operator_pb2.FreezeAssetRequest(asset="BTC"), PROJECTOR, "invalid_argument"),
        (projector.FreezeAsset, operator_pb2.FreezeAssetRequest(asset="NONE", reason="x"), PROJECTOR, "unknown_asset"),
        (exchange.operator.UnfreezeAsset, unfreeze, PROJECTOR, "not_signed_in"),
        (exchange.operator.UnfreezeAsset, unfreeze, CLERK, "permission_required"),
        (exchange.operator.ListAssets, operator_pb2.ListAssetsRequest(), CLERK, "permission_required"),
    ]
    for call, request, caller, reason in refusals:
        with use_caller(caller), pytest.raises(RemoteError) as refusal:
            await call(request)
        assert refusal.value.reason == reason
    assert exchange.shell.state.frozen_assets == {}


def _accounts(state: ExchangeState) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (owner.name, asset): (account.available, account.held)
        for owner in state.owners.values()
        for asset, account in owner.accounts.items()
    }


def _account(state: Any, asset: str, *, available: int = 0, held: int = 0) -> None:
    account = state.owners["user:ann"].accounts[asset]
    account.available += available
    account.held += held


def _with_other_accounts(batch: SealedBatch) -> SealedBatch:
    """As a leader would seal it whose memory differs."""
    body = decode_body(batch.body)
    accounts = [
        account._replace(available=account.available + 1) if account.asset == "USD" else account
        for account in body.accounts
    ]
    encoded = encode_body([encode_entry(entry.command, entry.events) for entry in body.entries], accounts)
    return seal(
        number=batch.number, epoch=batch.epoch, writer=batch.writer, time_milliseconds=batch.time_milliseconds,
        users=batch.users, body=encoded, previous=batch.previous_digest,
    )  # fmt: skip
