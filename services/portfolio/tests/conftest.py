"""An exchange and a price source that do as a test tells them, behind the real contracts."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from chassis.errors import Unavailable
from chassis.identity import current_caller
from chassis.testing import serve
from chassis.testing.services import identity_of
from cryptovault.market_data.v1 import market_data_pb2, market_data_pb2_grpc
from cryptovault.trading.v1 import events_pb2, trading_pb2, trading_pb2_grpc

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class StandInExchange(trading_pb2_grpc.TradingServiceServicer, trading_pb2_grpc.TradingQueryServiceServicer):
    """Keeps balances as the real one does, and a journal whose readers can be held back."""

    def __init__(self) -> None:
        self.journal: list[events_pb2.JournalBatch] = []
        self.available: dict[str, dict[str, Decimal]] = {}
        self.held: dict[str, dict[str, Decimal]] = {}
        self.newest: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        # The journal's readers see no batch above this one.
        self.visible: int | None = None
        self.down = False
        self.balance_reads = 0
        self.callers: list[Any] = []

    # What tests tell it.

    def deposit(self, user_id: str, asset: str, amount: str, *, key: str = "") -> int:
        self._move(user_id, asset, Decimal(amount))
        posting = events_pb2.Posting(account=f"user:{user_id}", asset=asset, amount=amount)
        other = events_pb2.Posting(account="external", asset=asset, amount=f"-{amount}")
        transfer = events_pb2.Transferred(
            transfer_id=f"t{len(self.journal)}", business_key=key, kind="deposit", postings=[other, posting]
        )
        return self._commit([events_pb2.JournalEvent(transferred=transfer)], [user_id])

    def trade(
        self,
        taker: str,
        side: str,
        quantity: str,
        price: str,
        *,
        fee: str = "0",
        maker: str = "house",
        base: str = "BTC",
    ) -> int:
        notional = Decimal(quantity) * Decimal(price)
        sign = 1 if side == "buy" else -1
        for user_id, direction, charged in ((taker, sign, Decimal(fee)), (maker, -sign, Decimal(0))):
            if user_id != "house":
                self._move(user_id, base, direction * Decimal(quantity))
                self._move(user_id, "USD", -direction * notional - charged)
        traded = events_pb2.Traded(
            trade_id=f"t{len(self.journal)}",
            market=f"{base}-USD",
            base_asset=base,
            quote_asset="USD",
            price=price,
            quantity=quantity,
            notional=f"{notional:f}",
            maker_user_id=maker,
            maker_fee="0",
            taker_user_id=taker,
            taker_fee=fee,
            taker_side=side,
        )
        return self._commit([events_pb2.JournalEvent(traded=traded)], [taker, maker])

    def hold(self, user_id: str, asset: str, amount: str) -> int:
        self._move(user_id, asset, -Decimal(amount))
        self.held.setdefault(user_id, {}).setdefault(asset, Decimal(0))
        self.held[user_id][asset] += Decimal(amount)
        placed = events_pb2.OrderPlaced(order_id="o", user_id=user_id, market="BTC-USD", side="buy", type="limit")
        return self._commit([events_pb2.JournalEvent(order_placed=placed)], [user_id])

    def _move(self, user_id: str, asset: str, amount: Decimal) -> None:
        account = self.available.setdefault(user_id, {})
        account[asset] = account.get(asset, Decimal(0)) + amount

    def _commit(self, events: list[events_pb2.JournalEvent], users: list[str]) -> int:
        number = len(self.journal) + 1
        previous = self.journal[-1].digest if self.journal else b""
        batch = events_pb2.JournalBatch(number=number, events=events)
        batch.time.FromDatetime(NOON)
        batch.digest = hashlib.sha256(previous + batch.SerializeToString(deterministic=True)).digest()
        self.journal.append(batch)
        self.newest.update(dict.fromkeys(users, number))
        return number

    # What it answers.

    async def GetBalances(self, request: Any, context: Any) -> trading_pb2.GetBalancesResponse:  # noqa: N802
        self._answering()
        self.balance_reads += 1
        user_id = current_caller().required_user()
        assets = self.available.get(user_id, {})
        return trading_pb2.GetBalancesResponse(
            balances=[
                trading_pb2.Balance(
                    asset=asset, available=f"{amount:f}", held=f"{self.held.get(user_id, {}).get(asset, Decimal(0)):f}"
                )
                for asset, amount in assets.items()
            ],
            batch=self.newest.get(user_id, 0),
        )

    async def Transfer(  # noqa: N802
        self, request: trading_pb2.TransferRequest, context: Any
    ) -> trading_pb2.TransferResponse:
        self._answering()
        replayed = request.business_key in self.keys
        if not replayed:
            (leg,) = request.legs
            assert leg.debit_account == "external"
            self.keys[request.business_key] = request.kind
            self.deposit(leg.credit_account.removeprefix("user:"), leg.asset, leg.amount, key=request.business_key)
        return trading_pb2.TransferResponse(batch=len(self.journal), replayed=replayed)

    async def ReadJournal(  # noqa: N802
        self, request: trading_pb2.ReadJournalRequest, context: Any
    ) -> trading_pb2.ReadJournalResponse:
        self._answering()
        if request.wait_milliseconds and len(self.journal[: self.visible]) <= request.after_batch:
            await asyncio.sleep(request.wait_milliseconds / 1000)
        visible = self.journal[: self.visible]
        return trading_pb2.ReadJournalResponse(
            batches=visible[request.after_batch : request.after_batch + request.limit], head=len(visible)
        )

    def _answering(self) -> None:
        self.callers.append(current_caller())
        if self.down:
            raise Unavailable("The exchange is away.")


# The rest of the contract is nobody's business here.
StandInExchange.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


class StandInMarketData(market_data_pb2_grpc.MarketDataServiceServicer):
    def __init__(self) -> None:
        self.prices = {"BTC": "50000", "ETH": "2500"}
        self._changed = asyncio.Event()

    def set_price(self, symbol: str, price: str) -> None:
        self.prices[symbol] = price
        self._changed.set()

    async def StreamPrices(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[market_data_pb2.StreamPricesResponse]:
        sequence = 0
        while True:
            sequence += 1
            self._changed.clear()
            prices = [market_data_pb2.Price(symbol=symbol, price=price) for symbol, price in self.prices.items()]
            for price in prices:
                price.source_time.FromDatetime(NOON)
            yield market_data_pb2.StreamPricesResponse(sequence=sequence, snapshot=sequence == 1, prices=prices)
            await self._changed.wait()

    async def ListAssets(self, request: Any, context: Any) -> market_data_pb2.ListAssetsResponse:  # noqa: N802
        return market_data_pb2.ListAssetsResponse(assets=[market_data_pb2.Asset(symbol="BTC", name="Bitcoin")])


StandInMarketData.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]


@pytest.fixture
def exchange() -> StandInExchange:
    return StandInExchange()


@pytest.fixture
def market_data() -> StandInMarketData:
    return StandInMarketData()


@pytest.fixture
async def neighbours_address(exchange: StandInExchange, market_data: StandInMarketData) -> AsyncIterator[str]:
    """Trading's leader, its projector and market-data, on one port."""
    async with serve(
        [
            (trading_pb2_grpc.add_TradingServiceServicer_to_server, exchange, "trading"),
            (trading_pb2_grpc.add_TradingQueryServiceServicer_to_server, exchange, "queries"),
            (market_data_pb2_grpc.add_MarketDataServiceServicer_to_server, market_data, "market_data"),
        ],
        plays=identity_of("trading", also=("trading-projector", "market-data")),
    ) as address:
        yield address
