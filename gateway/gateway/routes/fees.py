"""What your orders pay, and why."""

from typing import TYPE_CHECKING

from cryptovault.trading.v1 import trading_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.admission.policy import Access, LimitClass
from gateway.edge.replies import json_reply
from gateway.routes.endpoint import API, Endpoint
from gateway.schemas import markets as schemas
from gateway.views.markets import fees_view

if TYPE_CHECKING:
    from cryptovault.trading.v1.trading_pb2_grpc import TradingServiceAsyncStub  # exists for type checkers only


class FeeRoutes:
    def __init__(self, *, trading: "TradingServiceAsyncStub") -> None:
        self._trading = trading

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                method="GET", path=f"{API}/fees", handler=self.list_fees, access=Access.USER,
                limit=LimitClass.ACCOUNT, permission="orders:read", operation_id="listFees", tag="orders",
                summary="What your next order pays in each market: your tier, your volume, the next tier",
                description="An order keeps the rates it was placed with; its reply names them.",
                reply=schemas.FeePage,
            ),
        ]  # fmt: skip

    async def list_fees(self, _request: Request) -> Response:
        answer = await self._trading.GetFees(trading_pb2.GetFeesRequest())
        return json_reply({"items": [fees_view(fees) for fees in answer.markets], "next_cursor": None})
