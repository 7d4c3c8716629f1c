"""What is said of an order that has no row."""

from types import SimpleNamespace
from typing import Any

import pytest
from chassis.identity import Caller, use_caller
from cryptovault.trading.v1 import trading_pb2
from trading.api.query_servicer import OrderNotFound, ProjectionBehind, TradingQueryServicer


@pytest.mark.parametrize(("reached", "error"), [(True, OrderNotFound), (False, ProjectionBehind)])
async def test_an_order_is_not_found_only_in_rows_that_are_whole(*, reached: bool, error: type[Exception]) -> None:
    async def has_reached(_batch: int, _seconds: float) -> bool:
        return reached

    async def no_order(_user_id: str, _order: str) -> None:
        return None

    projector: Any = SimpleNamespace(reached=has_reached)
    queries: Any = SimpleNamespace(get=no_order, by_client_id=no_order)
    nothing: Any = None
    servicer = TradingQueryServicer(
        projector=projector,
        queries=queries,
        fills=nothing,
        tape=nothing,
        event_log=nothing,
        journal_reader=nothing,
        ledger=nothing,
    )
    context = SimpleNamespace(time_remaining=lambda: 1.0)
    with use_caller(Caller("gateway", "ann", "session", "request-1", None)):
        with pytest.raises(error):
            await servicer.GetOrder(trading_pb2.GetOrderRequest(order_id="x", at_least_batch=9), context)
        with pytest.raises(error):
            await servicer.GetOrderByClientId(
                trading_pb2.GetOrderByClientIdRequest(client_order_id="x", at_least_batch=9), context
            )
