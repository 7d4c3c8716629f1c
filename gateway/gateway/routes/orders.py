"""Placing, amending and cancelling orders, through the one stream to the exchange; previews beside it."""

from typing import TYPE_CHECKING

from chassis.crash_points import crash_point
from chassis.errors import RemoteError
from chassis.ids import Ids
from cryptovault.trading.v1 import trading_pb2 as pb
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.clients.order_entry import Command, NotSent, OrderEntry, OutcomeUnknown
from gateway.edge.facts import facts_of
from gateway.edge.idempotency import idempotency_key
from gateway.edge.metrics import ORDERS_UNKNOWN
from gateway.edge.moments import read_moment
from gateway.edge.order_bodies import UNREAD, read_order
from gateway.edge.queries import read_path, read_query
from gateway.edge.replies import json_reply
from gateway.edge.shedding import Urgency
from gateway.errors import PublicError, invalid, unavailable
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import queries
from gateway.schemas import trading as schemas
from gateway.views.trading import cancelled_view, placed_view, preview_view

if TYPE_CHECKING:
    from cryptovault.trading.v1.trading_pb2_grpc import TradingServiceAsyncStub  # exists for type checkers only

_TAG = "orders"
_OWN_KEY_PREFIX = "gateway:"
_OUTCOME_UNKNOWN = "outcome_unknown"


class OrderRoutes:
    def __init__(
        self,
        *,
        order_entry: OrderEntry,
        trading: "TradingServiceAsyncStub",
        ids: Ids,
    ) -> None:
        self._order_entry = order_entry
        self._trading = trading
        self._ids = ids

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="POST", path=f"{API}/orders", handler=self.place, access=Access.USER, limit=LimitClass.TRADING,
                permission="orders:write", operation_id="placeOrder", summary="Place an order", tag=_TAG,
                description="The reply holds the fills, the fees and the balances after them. Repeat a request whose "
                "reply was lost with the same Idempotency-Key, or without one where it has a client_order_id: it takes "
                "effect once.",
                body=schemas.PlaceOrder, status=201, reply=schemas.PlacedOrder, errors=(404, 409, 422),
                idempotent=True,
                body_example={"market": "BTC-USD", "side": "buy", "type": "market", "quote_quantity": "100"},
            ),
            Endpoint(
                method="POST", path=f"{API}/orders/preview", handler=self.preview, access=Access.USER,
                limit=LimitClass.TRADING, permission="orders:write", shed_as=Urgency.READ, operation_id="previewOrder",
                summary="What an order would do if it came now", tag=_TAG,
                description="Nothing is placed and no key is used. Refused exactly as the order itself would be.",
                body=schemas.PlaceOrder, reply=schemas.OrderPreview, errors=(404, 409, 422),
                body_example={"market": "BTC-USD", "side": "buy", "type": "market", "quote_quantity": "100"},
            ),
            Endpoint(
                method="PATCH", path=f"{API}/orders/{{order_id}}", handler=self.amend, access=Access.USER,
                limit=LimitClass.TRADING, permission="orders:write", operation_id="amendOrder",
                summary="Give an open order another price, another quantity, or both", tag=_TAG,
                description="`quantity` is the whole, with what is filled. The order keeps its place in the book where "
                "the price stays and the quantity does not grow; at a price that meets somebody it trades.",
                path_fields=queries.OrderPath, body=schemas.AmendOrder, reply=schemas.PlacedOrder,
                errors=(404, 409, 422), idempotent=True, body_example={"quantity": "0.5"},
            ),
            Endpoint(
                method="DELETE", path=f"{API}/orders/{{order_id}}", handler=self.cancel, access=Access.USER,
                limit=LimitClass.TRADING, permission="orders:cancel", shed_as=Urgency.CANCEL,
                operation_id="cancelOrder",
                summary="Cancel an order", tag=_TAG,
                path_fields=queries.OrderPath, reply=schemas.PlacedOrder, errors=(404, 409, 422), idempotent=True,
            ),
            Endpoint(
                method="DELETE", path=f"{API}/orders", handler=self.cancel_all, access=Access.USER,
                limit=LimitClass.TRADING, permission="orders:cancel", shed_as=Urgency.CANCEL,
                operation_id="cancelOrders", tag=_TAG,
                summary="Cancel all open orders, of one market or of all",
                description="A halted market keeps its orders: where it is named the request is refused, else "
                "`not_cancelled` names them. At most the 1,000 orders that one may have open are told of.",
                query=queries.CancelQuery, reply=schemas.CancelledOrders, errors=(404, 409, 422), idempotent=True,
            ),
        ]  # fmt: skip

    async def place(self, request: Request) -> Response:
        body = await read_order(request, schemas.PlaceOrder)
        answer = await self._enter(request, _order(body), client_order_id=body.client_order_id)
        return json_reply(placed_view(answer.result), status=201)

    async def preview(self, request: Request) -> Response:
        body = await read_order(request, schemas.PlaceOrder)
        answer = await self._trading.PreviewOrder(pb.PreviewOrderRequest(order=_order(body)))
        return json_reply(preview_view(answer))

    async def amend(self, request: Request) -> Response:
        path = read_path(request, queries.OrderPath)
        body = await read_order(request, schemas.AmendOrder)
        if body.price is None and body.quantity is None:
            raise invalid(
                "A new price or a new quantity is needed.",
                field="body", rule="price_or_quantity", limit="one of the two", given="none", no_suggestion=UNREAD,
            )  # fmt: skip
        command = pb.AmendOrder(order_id=path.order_id, price=body.price or "", quantity=body.quantity or "")
        answer = await self._enter(request, command)
        return json_reply(placed_view(answer.result))

    async def cancel(self, request: Request) -> Response:
        path = read_path(request, queries.OrderPath)
        answer = await self._enter(request, pb.CancelOrder(order_id=path.order_id))
        return json_reply(placed_view(answer.result))

    async def cancel_all(self, request: Request) -> Response:
        query = read_query(request, queries.CancelQuery)
        answer = await self._enter(request, pb.CancelOrders(market=query.market or ""))
        return json_reply(cancelled_view(answer.cancelled))

    async def _enter(
        self,
        request: Request,
        command: Command,
        *,
        client_order_id: str | None = None,
    ) -> pb.EnterOrdersResponse:
        facts = facts_of(request)
        given_key = idempotency_key(request)
        principal = pb.Principal(
            user_id=facts.signed_in_user(),
            session_id=facts.session_id or (f"key:{facts.key.id}" if facts.key is not None else ""),
            request_id=facts.request_id,
            address=facts.address,
        )
        # A client order id marks the command's repeats, the client's as well as our own: a key of ours would hide that.
        key = given_key or ("" if client_order_id else f"{_OWN_KEY_PREFIX}{self._ids.new()}")
        try:
            crash_point("before_order_entry")
            answer = await self._order_entry.enter(command, principal, key=key)
            crash_point("after_order_entry")
        except NotSent:
            raise unavailable("The exchange cannot be reached at the moment. Nothing was placed.") from None
        except OutcomeUnknown:
            raise _outcome_unknown(given_key, client_order_id) from None
        except RemoteError as error:
            if error.reason == _OUTCOME_UNKNOWN:
                raise _outcome_unknown(given_key, client_order_id) from None
            raise
        outcome = answer.result if answer.WhichOneof("outcome") == "result" else answer.cancelled
        if outcome.replayed and (given_key is not None or client_order_id is not None):
            facts.reply_with("idempotency-replayed", "true")
        return answer


def _order(body: schemas.PlaceOrder) -> pb.PlaceOrder:
    return pb.PlaceOrder(
        market=body.market,
        side=body.side,
        type=body.type,
        quantity=body.quantity or "",
        quote_quantity=body.quote_quantity or "",
        price=body.price or "",
        stop_price=body.stop_price or "",
        time_in_force=body.time_in_force or "",
        expires_at=None
        if body.expires_at is None
        else read_moment(body.expires_at, field="expires_at", no_suggestion=UNREAD),
        post_only=body.post_only,
        client_order_id=body.client_order_id or "",
    )


def _outcome_unknown(key: str | None, client_order_id: str | None) -> PublicError:
    """The order stands or never will; say how to find out. A key given once has to come again, also beside an id."""
    ORDERS_UNKNOWN.inc()
    ways: dict[str, str] = {}
    if client_order_id is not None:
        ways["ask"] = f"GET {API}/orders/by-client-id/{client_order_id}"
        ways["repeat"] = "Send the same request again: its client_order_id says that it is the same order."
    if key is not None:
        ways["repeat"] = "Send the same request with the same Idempotency-Key."
    if not ways:
        ways["ask"] = f"GET {API}/orders"
    return unavailable(
        "The exchange has not answered in time. It is not known yet whether the command was carried out.",
        reason=_OUTCOME_UNKNOWN,
        **ways,
    )
