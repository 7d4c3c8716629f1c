"""What a user has: balances from the ledger, and their worth."""

from typing import TYPE_CHECKING

from cryptovault.portfolio.v1 import portfolio_pb2
from cryptovault.trading.v1 import trading_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.clients.freshness import Freshness
from gateway.clients.newest_batches import NewestBatches
from gateway.edge.facts import facts_of
from gateway.edge.replies import json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import trading as schemas
from gateway.views.portfolio import portfolio_view
from gateway.views.trading import balance_view

if TYPE_CHECKING:
    from cryptovault.portfolio.v1.portfolio_pb2_grpc import PortfolioServiceAsyncStub  # exist for type checkers only
    from cryptovault.trading.v1.trading_pb2_grpc import TradingServiceAsyncStub

# It may ask trading and market-data in turn, each a read of its own.
PORTFOLIO_DEADLINE_SECONDS = 2.0


class HoldingRoutes:
    def __init__(
        self,
        *,
        portfolio: "PortfolioServiceAsyncStub",
        trading: "TradingServiceAsyncStub",
        freshness: Freshness,
        newest_batches: NewestBatches,
    ) -> None:
        self._portfolio = portfolio
        self._trading = trading
        self._freshness = freshness
        self._newest_batches = newest_batches

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/portfolio", handler=self.get_portfolio, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="portfolio:read", operation_id="getPortfolio", tag="portfolio",
                summary="What you hold, what it is worth and what it cost", reply=schemas.Portfolio, may_lag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/wallet/balances", handler=self.list_balances, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="wallet:read", operation_id="listBalances", tag="wallet",
                summary="Your balances in the ledger", reply=schemas.BalancePage,
            ),
        ]  # fmt: skip

    async def get_portfolio(self, request: Request) -> Response:
        needed = await self._freshness.needed(request)
        answer = await self._portfolio.GetPortfolio(
            portfolio_pb2.GetPortfolioRequest(), timeout=PORTFOLIO_DEADLINE_SECONDS
        )
        portfolio = answer.portfolio
        self._freshness.report(request, behind=portfolio.behind or portfolio.batch < needed)
        return json_reply(portfolio_view(portfolio))

    async def list_balances(self, request: Request) -> Response:
        answer = await self._trading.GetBalances(trading_pb2.GetBalancesRequest())
        self._newest_batches.note(facts_of(request).signed_in_user(), answer.batch)
        return json_reply({"items": [balance_view(balance) for balance in answer.balances], "next_cursor": None})
