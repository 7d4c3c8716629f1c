"""What is said of an order or an event that is not there, and of a list that may end too early."""

from types import SimpleNamespace
from typing import Any

import pytest
from chassis.identity import Caller, use_caller
from cryptovault.trading.v1 import trading_pb2
from trading.api.fresh_reads import ProjectionBehind
from trading.api.query_servicer import OrderNotFound, TradingQueryServicer
from trading.domain.state import ExchangeState
from trading.projector.event_log import EventLog
from trading.projector.ledger_reader import LedgerReader, SequenceAhead

ANN = Caller("gateway", "ann", "session", "request-1", None)
CONTEXT = SimpleNamespace(time_remaining=lambda: 1.0)


def servicer(*, reached: bool) -> TradingQueryServicer:
    """Over a projection in which nothing has happened yet."""

    async def has_reached(_batch: int, _seconds: float) -> bool:
        return reached

    async def no_order(_user_id: str, _order: str) -> None:
        return None

    projector: Any = SimpleNamespace(reached=has_reached, batch=3, fold=SimpleNamespace(state=ExchangeState()))
    queries: Any = SimpleNamespace(get=no_order, by_client_id=no_order)
    nothing: Any = None
    return TradingQueryServicer(
        projector=projector,
        queries=queries,
        fills=nothing,
        tape=nothing,
        event_log=EventLog(journal=nothing, queries=queries, projector=projector),
        journal_reader=nothing,
        ledger=LedgerReader(journal=nothing, projector=projector, points=nothing),
    )


@pytest.mark.parametrize(("reached", "error"), [(True, OrderNotFound), (False, ProjectionBehind)])
async def test_an_order_is_not_found_only_in_rows_that_are_whole(*, reached: bool, error: type[Exception]) -> None:
    asked = servicer(reached=reached)
    with use_caller(ANN):
        with pytest.raises(error):
            await asked.GetOrder(trading_pb2.GetOrderRequest(order_id="x", at_least_batch=9), CONTEXT)
        with pytest.raises(error):
            await asked.GetOrderByClientId(
                trading_pb2.GetOrderByClientIdRequest(client_order_id="x", at_least_batch=9), CONTEXT
            )


@pytest.mark.parametrize(("reached", "error"), [(True, SequenceAhead), (False, ProjectionBehind)])
async def test_an_event_is_ahead_only_of_a_fold_that_is_whole(*, reached: bool, error: type[Exception]) -> None:
    with use_caller(ANN), pytest.raises(error):
        await servicer(reached=reached).GetBalancesAsOf(
            trading_pb2.GetBalancesAsOfRequest(sequence=1, at_least_batch=9), CONTEXT
        )


@pytest.mark.parametrize("reached", [True, False])
async def test_a_log_that_may_end_too_early_says_so(*, reached: bool) -> None:
    with use_caller(ANN):
        log = await servicer(reached=reached).ListUserEvents(
            trading_pb2.ListUserEventsRequest(at_least_batch=9), CONTEXT
        )
    assert (list(log.events), log.more, log.behind) == ([], False, not reached)
