"""Services of two kinds of methods, one answer and streams, and who calls them."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from chassis.grpc_client import open_channel
from chassis.identity import Caller
from chassis.testing.services import identity_of
from chassis.trust.call_table import CallTable
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc
from google.protobuf import empty_pb2

PORTFOLIO = "cryptovault.portfolio.v1.PortfolioService"
STREAMS = "test.v1.Streams"
GATEWAY = identity_of("gateway")
# Whoever serves the methods that only these tests have.
STREAMING = identity_of(
    "portfolio",
    table=CallTable(
        reads={
            f"/{STREAMS}/Watch": ["gateway"],
            f"/{PORTFOLIO}/GetPortfolio": ["gateway"],
            "/grpc.health.v1.Health/Check": ["anybody"],
        },
        commands={f"/{STREAMS}/Enter": ["gateway"]},
    ),
)
CALLER = Caller(
    service="web", user_id="user-1", session_id="session-1", request_id="request-1", address="10.0.0.1",
    permissions=frozenset({"orders:read", "markets:write"}),
)  # fmt: skip


class Portfolio(portfolio_pb2_grpc.PortfolioServiceServicer):
    """Answers what `behaviour` returns, as `cash`."""

    def __init__(self, behaviour: Callable[[Any], Awaitable[str]]) -> None:
        self._behaviour = behaviour

    async def GetPortfolio(  # noqa: N802 - the contract's name
        self, request: portfolio_pb2.GetPortfolioRequest, context: Any
    ) -> portfolio_pb2.GetPortfolioResponse:
        return portfolio_pb2.GetPortfolioResponse(
            portfolio=portfolio_pb2.Portfolio(cash=await self._behaviour(context))
        )


def portfolio(behaviour: Callable[[Any], Awaitable[str]]) -> tuple[Any, Any, str]:
    return (portfolio_pb2_grpc.add_PortfolioServiceServicer_to_server, Portfolio(behaviour), PORTFOLIO)


def streams(
    *, watch: Any = None, enter: Any = None, request: Any = empty_pb2.Empty, response: Any = empty_pb2.Empty
) -> tuple[Any, Any, str]:
    """A service of two streaming methods: Watch (server stream) and Enter (both ways)."""
    handlers: dict[str, Any] = {}
    codec: dict[str, Any] = {
        "request_deserializer": request.FromString,
        "response_serializer": response.SerializeToString,
    }
    if watch is not None:
        handlers["Watch"] = grpc.unary_stream_rpc_method_handler(watch, **codec)
    if enter is not None:
        handlers["Enter"] = grpc.stream_stream_rpc_method_handler(enter, **codec)
    generic = grpc.method_handlers_generic_handler(STREAMS, handlers)
    return (lambda _servicer, server: server.add_generic_rpc_handlers((generic,)), None, STREAMS)


def watch_on(channel: Any, response: Any = empty_pb2.Empty) -> Any:
    make = channel.unary_stream(
        f"/{STREAMS}/Watch",
        request_serializer=empty_pb2.Empty.SerializeToString,
        response_deserializer=response.FromString,
    )
    return make(empty_pb2.Empty())


def enter_on(channel: Any, request: Any = empty_pb2.Empty, response: Any = empty_pb2.Empty) -> Any:
    make = channel.stream_stream(
        f"/{STREAMS}/Enter",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
    return make()


async def read_all(stream: Any, received: list[Any]) -> None:
    async for message in stream:
        received.append(message)  # noqa: PERF401 - what came before the error is kept


async def ask(address: str, *, timeout: float | None = None) -> str:  # noqa: ASYNC109 - what is under test
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        reply = await portfolio_pb2_grpc.PortfolioServiceStub(channel).GetPortfolio(
            portfolio_pb2.GetPortfolioRequest(), timeout=timeout
        )
        return reply.portfolio.cash
