"""Records that end before what is asked for: no "not found", no snapshot with holes. Without a door or a server."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from chassis.clock import SystemClock
from chassis.errors import ErrorKind, RemoteError
from cryptovault.trading.v1 import trading_pb2 as pb
from gateway.clients.freshness import Freshness, NewestEvent
from gateway.clients.order_entry import OrderEntry
from gateway.edge.facts import RequestFacts, attach_facts
from gateway.errors import PublicError
from gateway.routes.history import HistoryRoutes
from gateway.routes.wallet import WalletRoutes
from gateway.websocket.catch_up import CatchUp
from starlette.requests import Request
from starlette.responses import Response

NOT_FOUND = RemoteError(kind=ErrorKind.NOT_FOUND, reason="order_not_found", message="There is no such order.")
SILENT = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Trading is silent.")


class Trading:
    """Answers both services' questions: the newest batch, no order, and an empty list."""

    def __init__(self, *, silent: bool = False, behind: bool = False) -> None:
        self.silent = silent
        self.behind = behind

    async def newest_event(self) -> NewestEvent:
        if self.silent:
            raise SILENT
        return NewestEvent(sequence=3, batch=7)

    async def no_stream(self) -> None:
        raise SILENT

    async def GetBalances(self, _request: Any) -> pb.GetBalancesResponse:  # noqa: N802 - the contract's name
        newest = await self.newest_event()
        return pb.GetBalancesResponse(batch=newest.batch, sequence=newest.sequence)

    async def GetOrderByClientId(self, _request: Any) -> pb.GetOrderByClientIdResponse:  # noqa: N802
        raise NOT_FOUND

    async def GetBalancesAsOf(self, _request: Any, *, timeout: float) -> pb.GetBalancesAsOfResponse:  # noqa: ASYNC109, N802
        raise NOT_FOUND

    async def ListOrders(self, _request: Any) -> pb.ListOrdersResponse:  # noqa: N802
        return pb.ListOrdersResponse(behind=self.behind)


def question() -> Request:
    scope: dict[str, Any] = {
        "type": "http", "path_params": {"client_order_id": "mine"}, "query_string": b"as_of=9", "headers": [],
    }  # fmt: skip
    attach_facts(scope, RequestFacts("request-1", "203.0.113.7", user_id="ann"))
    return Request(scope)


Ask = Callable[[Trading, Request], Awaitable[Response]]


def ask_for_an_order(trading: Any, request: Request) -> Awaitable[Response]:
    freshness = Freshness(trading.newest_event)
    order_entry = OrderEntry(trading.no_stream, SystemClock())
    routes = HistoryRoutes(trading_queries=trading, order_entry=order_entry, freshness=freshness)
    return routes.get_by_client_id(request)


def ask_for_balances_after_an_event(trading: Any, request: Request) -> Awaitable[Response]:
    freshness = Freshness(trading.newest_event)
    routes = WalletRoutes(trading=trading, trading_queries=trading, freshness=freshness, clock=SystemClock())
    return routes.list_balances(request)


async def answer(ask: Ask, trading: Trading) -> Exception:
    with pytest.raises((PublicError, RemoteError)) as raised:
        await ask(trading, question())
    return raised.value


@pytest.mark.parametrize("ask", [ask_for_an_order, ask_for_balances_after_an_event])
async def test_something_is_missing_only_where_the_records_are_known_to_be_whole(ask: Ask) -> None:
    assert await answer(ask, Trading()) is NOT_FOUND
    lagging = await answer(ask, Trading(silent=True))
    assert isinstance(lagging, PublicError)
    assert (lagging.status, lagging.details["reason"]) == (503, "history_behind")


async def test_a_snapshot_of_orders_has_no_holes() -> None:
    whole, lagging = Trading(), Trading(behind=True)
    assert (await CatchUp(whole, whole).beginning("orders")).sequence == 3  # type: ignore[arg-type]
    with pytest.raises(RemoteError, match="cannot be listed"):
        await CatchUp(lagging, lagging).beginning("orders")  # type: ignore[arg-type]
