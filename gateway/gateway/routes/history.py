"""What was: orders, fills and events, from the exchange's memory on disk."""

from typing import TYPE_CHECKING

from cryptovault.trading.v1 import trading_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.clients.freshness import Freshness
from gateway.clients.order_entry import OrderEntry
from gateway.edge.facts import facts_of
from gateway.edge.queries import read_path, read_query
from gateway.edge.replies import json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import queries
from gateway.schemas import trading as schemas
from gateway.views.trading import detailed_order_view, event_view, fill_view, order_view

if TYPE_CHECKING:
    from cryptovault.trading.v1.trading_pb2_grpc import TradingQueryServiceAsyncStub  # exists for type checkers only

_TAG = "orders"


class HistoryRoutes:
    def __init__(
        self, *, trading_queries: "TradingQueryServiceAsyncStub", order_entry: OrderEntry, freshness: Freshness
    ) -> None:
        self._queries = trading_queries
        self._order_entry = order_entry
        self._freshness = freshness

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/orders", handler=self.list_orders, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="orders:read",
                operation_id="listOrders", summary="Your orders, newest first", tag=_TAG,
                query=queries.OrdersQuery, reply=schemas.OrderPage, may_lag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/orders/by-client-id/{{client_order_id}}", handler=self.get_by_client_id,
                access=Access.USER, limit=LimitClass.ACCOUNT, permission="orders:read",
                operation_id="getOrderByClientId",
                summary="The order with your own id", tag=_TAG,
                path_fields=queries.ClientOrderPath, reply=schemas.OrderWithFills, errors=(404,), may_lag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/orders/{{order_id}}", handler=self.get_order, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="orders:read",
                operation_id="getOrder", summary="One order with its fills", tag=_TAG,
                path_fields=queries.OrderPath, reply=schemas.OrderWithFills, errors=(404,), may_lag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/fills", handler=self.list_fills, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="orders:read",
                operation_id="listFills", summary="Your fills, newest first", tag=_TAG,
                query=queries.FillsQuery, reply=schemas.FillPage, may_lag=True,
            ),
            Endpoint(
                method="GET", path=f"{API}/events", handler=self.list_events, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="orders:read", operation_id="listEvents", tag=_TAG,
                summary="Your private event log after a sequence number, without gaps",
                query=queries.EventsQuery, reply=schemas.EventPage, may_lag=True,
            ),
        ]  # fmt: skip

    async def list_orders(self, request: Request) -> Response:
        query = read_query(request, queries.OrdersQuery)
        answer = await self._queries.ListOrders(
            pb.ListOrdersRequest(
                market=query.market or "",
                status=query.status or "",
                limit=query.page_size,
                cursor=query.cursor or "",
                at_least_batch=await self._freshness.needed(request),
            )
        )
        self._freshness.report(request, behind=answer.behind)
        return _page([order_view(order) for order in answer.orders], answer.next_cursor)

    async def get_order(self, request: Request) -> Response:
        path = read_path(request, queries.OrderPath)
        batch = await self._freshness.needed(request)
        with self._freshness.not_found_only_if_known(request):
            answer = await self._queries.GetOrder(pb.GetOrderRequest(order_id=path.order_id, at_least_batch=batch))
        self._freshness.report(request, behind=answer.behind)
        return json_reply(detailed_order_view(answer.order, answer.fills))

    async def get_by_client_id(self, request: Request) -> Response:
        path = read_path(request, queries.ClientOrderPath)
        # Before the exchange is asked: an order that is answered by now, the exchange then knows of.
        under_way = self._order_entry.is_under_way(facts_of(request).signed_in_user(), path.client_order_id)
        batch = await self._freshness.needed(request)
        with self._freshness.not_found_only_if_known(request, under_way=under_way):
            answer = await self._queries.GetOrderByClientId(
                pb.GetOrderByClientIdRequest(client_order_id=path.client_order_id, at_least_batch=batch)
            )
        self._freshness.report(request, behind=answer.behind)
        return json_reply(detailed_order_view(answer.order, answer.fills))

    async def list_fills(self, request: Request) -> Response:
        query = read_query(request, queries.FillsQuery)
        answer = await self._queries.ListFills(
            pb.ListFillsRequest(
                market=query.market or "",
                order_id=query.order_id or "",
                limit=query.page_size,
                cursor=query.cursor or "",
                at_least_batch=await self._freshness.needed(request),
            )
        )
        self._freshness.report(request, behind=answer.behind)
        return _page([fill_view(fill) for fill in answer.fills], answer.next_cursor)

    async def list_events(self, request: Request) -> Response:
        query = read_query(request, queries.EventsQuery)
        after = int(query.after)
        answer = await self._queries.ListUserEvents(
            pb.ListUserEventsRequest(
                after_sequence=after,
                limit=query.page_size,
                at_least_batch=await self._freshness.needed(request, after=after),
            )
        )
        self._freshness.report(request, behind=answer.behind)
        more = str(answer.events[-1].sequence) if answer.more and answer.events else ""
        return _page([event_view(event) for event in answer.events], more)


def _page(items: list[dict[str, object]], next_cursor: str) -> Response:
    return json_reply({"items": items, "next_cursor": next_cursor or None})
