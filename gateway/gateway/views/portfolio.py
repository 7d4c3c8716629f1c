"""A portfolio as the public sees it."""

from typing import Any

from cryptovault.portfolio.v1 import portfolio_pb2 as pb

from gateway.views.times import time_text


def portfolio_view(portfolio: pb.Portfolio) -> dict[str, Any]:
    return {
        "holdings": [_holding_view(holding) for holding in portfolio.holdings],
        "total_value": portfolio.total_value,
        "cash": portfolio.cash,
        "realized_pnl": portfolio.realized_pnl or None,
        "as_of": time_text(portfolio.as_of),
    }


def _holding_view(holding: pb.Holding) -> dict[str, Any]:
    return {
        "symbol": holding.symbol,
        "name": holding.name,
        "amount": holding.amount,
        "available": holding.available,
        "held": holding.held,
        "price": holding.price or None,
        "value": holding.value or None,
        "allocation": holding.allocation or None,
        "average_cost": holding.average_cost or None,
        "unrealized_pnl": holding.unrealized_pnl or None,
    }
