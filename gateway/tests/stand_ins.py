"""Stand-ins for the services, spoken to over real gRPC: small, exact about what the gateway relies on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Self

from auth_stand_in import Auth, Minter
from chassis.identity import current_caller
from chassis.testing import serve
from cryptovault.auth.v1 import auth_pb2_grpc
from cryptovault.market_data.v1 import market_data_pb2, market_data_pb2_grpc
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc
from cryptovault.trading.v1 import operator_pb2_grpc, trading_pb2_grpc
from facts import NOW
from trading_stand_in import Operator, Queries, Trading


def price(symbol: str = "BTC", amount: str = "50000.01") -> market_data_pb2.Price:
    return market_data_pb2.Price(
        symbol=symbol, price=amount, change_24h="-1.25", high_24h="51000", low_24h="49000", volume_24h="1000000",
        source="simulator", source_time=NOW, time=NOW,
    )  # fmt: skip


class MarketData(market_data_pb2_grpc.MarketDataServiceServicer):
    def __init__(self) -> None:
        self.followers: list[asyncio.Queue[market_data_pb2.StreamPricesResponse | None]] = []
        self.available = True

    async def StreamPrices(  # noqa: N802
        self, request: Any, context: Any
    ) -> AsyncIterator[market_data_pb2.StreamPricesResponse]:
        queue: asyncio.Queue[market_data_pb2.StreamPricesResponse | None] = asyncio.Queue()
        self.followers.append(queue)
        try:
            yield market_data_pb2.StreamPricesResponse(
                sequence=1, snapshot=True, prices=[price(), price("ETH", "3000")]
            )
            while (message := await queue.get()) is not None:
                yield message
        finally:
            self.followers.remove(queue)

    def publish(self, *prices: market_data_pb2.Price, snapshot: bool = False) -> None:
        for queue in self.followers:
            queue.put_nowait(market_data_pb2.StreamPricesResponse(sequence=2, snapshot=snapshot, prices=prices))

    async def GetProviderStatus(self, request: Any, context: Any) -> market_data_pb2.GetProviderStatusResponse:  # noqa: N802
        return market_data_pb2.GetProviderStatusResponse(source="simulator", available=self.available, last_success=NOW)


class Portfolio(portfolio_pb2_grpc.PortfolioServiceServicer):
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.batch = 1_000_000
        self.behind = False
        self.hangs = False
        self.asked = 0

    async def GetPortfolio(self, request: Any, context: Any) -> portfolio_pb2.GetPortfolioResponse:  # noqa: N802
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(60)
        current_caller().required_user()
        holding = portfolio_pb2.Holding(
            symbol="BTC", name="Bitcoin", amount="0.5", available="0.5", held="0", price="50000", value="25000",
            allocation="71.43", average_cost="50000", unrealized_pnl="-12.5",
        )  # fmt: skip
        return portfolio_pb2.GetPortfolioResponse(
            portfolio=portfolio_pb2.Portfolio(
                holdings=[holding], total_value="35000", cash="10000", realized_pnl="0", as_of=NOW, batch=self.batch,
                behind=self.behind,
            )
        )  # fmt: skip


PROCESS_OF = {
    "auth": "auth",
    "trading": "trading",
    "trading_queries": "trading-projector",
    "market_data": "market-data",
    "portfolio": "portfolio",
}


class Platform:
    """All services, each on a port of its own, so that any can be taken away."""

    def __init__(self, now: Any) -> None:
        self.minter = Minter()
        self.auth = Auth(self.minter, now)
        self.trading = Trading()
        self.operator = Operator()
        self.queries = Queries()
        self.market_data = MarketData()
        self.portfolio = Portfolio()
        self.addresses: dict[str, str] = {}
        self._stacks: dict[str, AsyncExitStack] = {}

    async def __aenter__(self) -> Self:
        for name, servicers in self._servicers().items():
            stack = AsyncExitStack()
            self.addresses[name] = await stack.enter_async_context(serve(servicers, plays=PROCESS_OF[name]))
            self._stacks[name] = stack
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(self.take_away(name) for name in list(self._stacks)))

    def reset(self) -> None:
        for servicer in (self.auth, self.trading, self.operator, self.queries, self.portfolio):
            servicer.reset()

    async def take_away(self, name: str) -> None:
        await self._stacks.pop(name).aclose()

    def _servicers(self) -> dict[str, list[tuple[Any, Any, str]]]:
        return {
            "auth": [(auth_pb2_grpc.add_AuthServiceServicer_to_server, self.auth, "cryptovault.auth.v1.AuthService")],
            "trading": [
                (
                    trading_pb2_grpc.add_TradingServiceServicer_to_server, self.trading,
                    "cryptovault.trading.v1.TradingService",
                ),
                (
                    operator_pb2_grpc.add_TradingOperatorServiceServicer_to_server, self.operator,
                    "cryptovault.trading.v1.TradingOperatorService",
                ),
            ],
            "trading_queries": [(
                trading_pb2_grpc.add_TradingQueryServiceServicer_to_server, self.queries,
                "cryptovault.trading.v1.TradingQueryService",
            )],
            "market_data": [(
                market_data_pb2_grpc.add_MarketDataServiceServicer_to_server, self.market_data,
                "cryptovault.market_data.v1.MarketDataService",
            )],
            "portfolio": [(
                portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server, self.portfolio,
                "cryptovault.portfolio.v1.PortfolioService",
            )],
        }  # fmt: skip
