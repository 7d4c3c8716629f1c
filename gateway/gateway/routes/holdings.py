"""What a user has, what it is worth and what it cost."""

from typing import TYPE_CHECKING

from cryptovault.portfolio.v1 import portfolio_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.clients.freshness import Freshness
from gateway.edge.replies import json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import trading as schemas
from gateway.views.portfolio import portfolio_view

if TYPE_CHECKING:
    from cryptovault.portfolio.v1.portfolio_pb2_grpc import PortfolioServiceAsyncStub  # exists for type checkers only

# It may ask trading and market-data in turn, each a read of its own.
PORTFOLIO_DEADLINE_SECONDS = 2.0


class HoldingRoutes:
    def __init__(
        self,
        *,
        portfolio: "PortfolioServiceAsyncStub",
        freshness: Freshness,
    ) -> None:
        self._portfolio = portfolio
        self._freshness = freshness

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/portfolio", handler=self.get_portfolio, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="portfolio:read", operation_id="getPortfolio", tag="portfolio",
                summary="What you hold, what it is worth and what it cost", reply=schemas.Portfolio, may_lag=True,
            ),
        ]  # fmt: skip

    async def get_portfolio(self, request: Request) -> Response:
        answer = await self._portfolio.GetPortfolio(
            portfolio_pb2.GetPortfolioRequest(), timeout=PORTFOLIO_DEADLINE_SECONDS
        )
        portfolio = answer.portfolio
        self._freshness.report(request, behind=portfolio.behind)
        return json_reply(portfolio_view(portfolio))
