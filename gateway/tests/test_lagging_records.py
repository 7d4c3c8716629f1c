"""Records that end before what is asked for: no "not found", no snapshot with holes. Without a door or a server."""

from typing import Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from cryptovault.trading.v1 import trading_pb2 as pb
from gateway.clients.freshness import Freshness
from gateway.clients.newest_batches import NewestBatches
from gateway.edge.facts import RequestFacts, attach_facts
from gateway.errors import PublicError
from gateway.routes.history import HistoryRoutes
from gateway.websocket.catch_up import CatchUp
from starlette.requests import Request

NOT_FOUND = RemoteError(kind=ErrorKind.NOT_FOUND, reason="order_not_found", message="There is no such order.")
SILENT = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Trading is silent.")


class Trading:
    """Answers both services' questions: the newest batch, no order, and an empty list."""

    def __init__(self, *, silent: bool = False, behind: bool = False) -> None:
        self.silent = silent
        self.behind = behind
        self.asked = 0

    async def newest_batch(self) -> int:
        self.asked += 1
        if self.silent:
            raise SILENT
        return 7

    async def GetBalances(self, _request: Any) -> pb.GetBalancesResponse:  # noqa: N802 - the contract's name
        return pb.GetBalancesResponse(batch=await self.newest_batch(), sequence=3)

    async def GetOrderByClientId(self, _request: Any) -> pb.GetOrderByClientIdResponse:  # noqa: N802
        raise NOT_FOUND

    async def ListOrders(self, _request: Any) -> pb.ListOrdersResponse:  # noqa: N802
        return pb.ListOrdersResponse(behind=self.behind)


def question() -> Request:
    scope: dict[str, Any] = {"type": "http", "path_params": {"client_order_id": "mine"}, "headers": []}
    attach_facts(scope, RequestFacts("request-1", "203.0.113.7", user_id="ann"))
    return Request(scope)


async def answer(trading: Trading) -> Exception:
    freshness = Freshness(NewestBatches(trading.newest_batch))
    routes = HistoryRoutes(trading_queries=trading, freshness=freshness)  # type: ignore[arg-type]
    with pytest.raises((PublicError, RemoteError)) as raised:
        await routes.get_by_client_id(question())
    return raised.value


async def test_an_order_is_missing_only_where_the_records_are_known_to_be_whole() -> None:
    assert await answer(Trading()) is NOT_FOUND
    lagging = await answer(Trading(silent=True))
    assert isinstance(lagging, PublicError)
    assert (lagging.status, lagging.details["reason"]) == (503, "history_behind")


async def test_after_an_unknown_outcome_the_exchange_is_asked_how_far_it_is() -> None:
    trading = Trading()
    newest = NewestBatches(trading.newest_batch)
    newest.begin()
    newest.note("ann", 5)
    assert (await newest.newest("ann"), trading.asked) == (5, 0)
    newest.doubt("ann")
    assert (await newest.newest("ann"), trading.asked) == (7, 1)


async def test_a_snapshot_of_orders_has_no_holes() -> None:
    whole, lagging = Trading(), Trading(behind=True)
    assert (await CatchUp(whole, whole).beginning("orders")).sequence == 3  # type: ignore[arg-type]
    with pytest.raises(RemoteError, match="cannot be listed"):
        await CatchUp(lagging, lagging).beginning("orders")  # type: ignore[arg-type]
