"""`PortfolioService`: translate, call, translate."""

from decimal import Decimal
from functools import lru_cache
from typing import Any

from chassis.identity import current_caller
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc

from portfolio.domain.exact import canonical
from portfolio.domain.valuation import Holding, Portfolio
from portfolio.use_cases.get_portfolio import GetPortfolio

# A view that is read again within its second needs no new message; to write out 20 holdings costs 0.5 ms.
MESSAGES_REMEMBERED = 256


class PortfolioServicer(portfolio_pb2_grpc.PortfolioServiceServicer):
    def __init__(self, *, get_portfolio: GetPortfolio) -> None:
        self._get_portfolio = get_portfolio

    async def GetPortfolio(  # noqa: N802 - the contract's name
        self,
        request: portfolio_pb2.GetPortfolioRequest,  # noqa: ARG002 - the caller says it all
        context: Any,  # noqa: ARG002
    ) -> portfolio_pb2.GetPortfolioResponse:
        portfolio = await self._get_portfolio(current_caller().required_user())
        return portfolio_pb2.GetPortfolioResponse(portfolio=_portfolio(portfolio))


@lru_cache(maxsize=MESSAGES_REMEMBERED)
def _portfolio(portfolio: Portfolio) -> portfolio_pb2.Portfolio:
    message = portfolio_pb2.Portfolio(
        holdings=[_holding(holding) for holding in portfolio.holdings],
        total_value=canonical(portfolio.total_value),
        cash=canonical(portfolio.cash),
        realized_pnl=canonical(portfolio.realized_pnl),
        batch=portfolio.batch,
        behind=portfolio.behind,
    )
    message.as_of.FromDatetime(portfolio.as_of)
    return message


def _holding(holding: Holding) -> portfolio_pb2.Holding:
    return portfolio_pb2.Holding(
        symbol=holding.symbol,
        name=holding.name,
        amount=canonical(holding.amount),
        available=canonical(holding.available),
        held=canonical(holding.held),
        price=_or_empty(holding.price),
        value=_or_empty(holding.value),
        allocation=f"{holding.allocation:.2f}",
        average_cost=_or_empty(holding.average_cost),
        unrealized_pnl=_or_empty(holding.unrealized_pnl),
    )


def _or_empty(value: Decimal | None) -> str:
    return "" if value is None else canonical(value)
