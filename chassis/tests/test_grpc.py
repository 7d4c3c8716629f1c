"""Both ends of a call over real sockets: what travels, what comes back, how it ends."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from chassis.errors import ErrorKind, InvalidArgument, RemoteBugError, RemoteError, ServiceError, Unavailable
from chassis.grpc_client import follow, open_channel
from chassis.grpc_server import GRACE_SECONDS, GrpcServer, _CallInterceptor
from chassis.identity import NOBODY, Caller, NotSignedIn, PermissionMissing, caller_metadata, current_caller, use_caller
from chassis.testing import eventually, serve
from chassis.testing.services import identity_of
from chassis.tracing import current_traceparent
from chassis.trust.call_table import CallTable
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc
from cryptovault.trading.v1 import trading_pb2
from google.protobuf import empty_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import REGISTRY

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


def watch_on(channel: Any) -> Any:
    make = channel.unary_stream(
        f"/{STREAMS}/Watch",
        request_serializer=empty_pb2.Empty.SerializeToString,
        response_deserializer=empty_pb2.Empty.FromString,
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


async def test_the_caller_the_trace_and_the_deadline_arrive() -> None:
    async def behaviour(context: Any) -> str:
        # gRPC rounds the time that it sends up, so a little more than the second may arrive.
        assert 0 < context.time_remaining() < 2.0
        return f"{current_caller()} {current_traceparent()}"

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with use_caller(CALLER):
            seen = await ask(address)
    assert "service='gateway', user_id='user-1', session_id='session-1'" in seen
    assert "request_id='request-1', address='10.0.0.1'" in seen
    assert " 00-" in seen


async def test_permissions_arrive_and_what_is_missing_is_named() -> None:
    async def behaviour(_context: Any) -> str:
        current_caller().require("markets:write")
        current_caller().require("orders:write")
        return "never"

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with use_caller(CALLER), pytest.raises(RemoteError) as refusal:
            await ask(address)
        assert (refusal.value.kind, refusal.value.reason) == (ErrorKind.FORBIDDEN, PermissionMissing.reason)
        assert refusal.value.details == {"permission": "orders:write"}
        with pytest.raises(RemoteError) as nobody:
            await ask(address)
        assert nobody.value.reason == NotSignedIn.reason


async def test_a_trace_goes_on_through_a_chain_of_services() -> None:
    async def second(_context: Any) -> str:
        return f"{current_traceparent()} {current_caller().request_id}"

    async with serve([portfolio(second)], plays="portfolio") as far:

        async def first(_context: Any) -> str:
            return f"{current_traceparent()} {current_caller().request_id} {await ask(far)}"

        async with serve([portfolio(first)], plays="portfolio") as near:
            with use_caller(CALLER):
                here, request, there, far_request = (await ask(near)).split()
    assert here == there
    assert request == far_request == "request-1"


async def test_a_header_that_grpc_refuses_does_not_fail_the_call() -> None:
    async def behaviour(_context: Any) -> str:
        return current_caller().request_id

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with use_caller(Caller(service="", user_id=None, session_id=None, request_id="a\nb\u00e9" * 99, address=None)):
            assert await ask(address) == ("ab" * 99)


@pytest.mark.parametrize("kind", list(ErrorKind))
async def test_an_error_arrives_with_its_kind_reason_and_facts(kind: ErrorKind) -> None:
    class Refused(ServiceError):
        reason = "some_reason"

    Refused.kind = kind

    async def behaviour(_context: Any) -> str:
        raise Refused("Trop cher: 1 \u20ac\nof 2.", limit="5")

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with pytest.raises(RemoteError) as raised:
            await ask(address)
    assert raised.value.kind is kind
    assert raised.value.reason == "some_reason"
    assert raised.value.details == {"limit": "5"}
    assert raised.value.message == "Trop cher: 1 \u20ac\nof 2."


async def test_a_bug_is_internal_and_its_message_stays_at_home() -> None:
    async def behaviour(_context: Any) -> str:
        raise ValueError("password=hunter2")

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with pytest.raises(RemoteBugError) as raised:
            await ask(address)
    assert "hunter2" not in str(raised.value)


async def test_an_error_received_travels_on_unchanged() -> None:
    async def behaviour(_context: Any) -> str:
        raise InvalidArgument("Not a market.", field="market", rule="known")

    async with serve([portfolio(behaviour)], plays="portfolio") as far:

        async def pass_on(_context: Any) -> str:
            return await ask(far)

        async with serve([portfolio(pass_on)], plays="portfolio") as near:
            with pytest.raises(RemoteError) as raised:
                await ask(near)
    assert raised.value.kind is ErrorKind.INVALID
    assert raised.value.details == {"field": "market", "rule": "known"}


async def test_a_dead_service_is_unavailable_at_once() -> None:
    async with serve([portfolio(_sleep_for_ever)], plays="portfolio") as address:
        pass
    with pytest.raises(RemoteError) as raised:
        await ask(address, timeout=60)
    # Not after the deadline.
    assert (raised.value.kind, raised.value.reason) == (ErrorKind.UNAVAILABLE, "unavailable")


async def test_a_passed_deadline_is_unavailable_to_the_client_and_ends_the_work() -> None:
    ended = asyncio.Event()

    async def behaviour(_context: Any) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with pytest.raises(RemoteError) as raised:
            await ask(address, timeout=0.05)
        assert (raised.value.kind, raised.value.reason) == (ErrorKind.UNAVAILABLE, "deadline_exceeded")
        await eventually(ended.is_set)


async def test_what_we_ask_of_others_ends_with_what_was_asked_of_us() -> None:
    remaining: list[float] = []

    async def far_behaviour(context: Any) -> str:
        remaining.append(context.time_remaining())
        return "ok"

    async with serve([portfolio(far_behaviour)], plays="portfolio") as far:

        async def near_behaviour(_context: Any) -> str:
            return await ask(far, timeout=60)

        async with serve([portfolio(near_behaviour)], plays="portfolio") as near:
            await ask(near, timeout=30)
    # gRPC rounds the time that it sends up, here to a tenth of a second.
    assert remaining[0] < 31


async def test_nothing_is_asked_when_no_time_is_left() -> None:
    began: list[Any] = []

    async def behaviour(context: Any) -> str:
        began.append(context)
        return "done"

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with pytest.raises(RemoteError) as raised:
            await ask(address, timeout=0.0)
        assert await ask(address) == "done"
    assert raised.value.reason == "deadline_exceeded"
    assert len(began) == 1


async def test_work_whose_deadline_passed_on_the_way_is_refused_before_it_begins() -> None:
    class Expired:
        aborted: Any = None

        def invocation_metadata(self) -> list[tuple[str, str]]:
            metadata = caller_metadata(NOBODY, service="gateway")
            return [*metadata, GATEWAY.signer_to("portfolio").token(Details.method, metadata)]

        def time_remaining(self) -> float:
            return 0.0

        def code(self) -> Any:
            return self.aborted

        async def abort(self, code: Any, _details: str) -> None:
            self.aborted = code
            raise grpc.aio.AbortError

    class Details:
        method = f"/{PORTFOLIO}/GetPortfolio"

    began: list[Any] = []

    async def work(request: Any, _context: Any) -> Any:
        began.append(request)

    async def handler(_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(work)

    wrapped = await _CallInterceptor(STREAMING).intercept_service(handler, Details())
    context = Expired()
    with pytest.raises(grpc.aio.AbortError):
        await wrapped.unary_unary(b"", context)
    assert context.aborted is grpc.StatusCode.DEADLINE_EXCEEDED
    assert began == []


async def test_calls_are_counted_by_method_and_code() -> None:
    async def behaviour(_context: Any) -> str:
        raise Unavailable("not now")

    labels = {"method": f"/{PORTFOLIO}/GetPortfolio", "code": "UNAVAILABLE"}

    def count() -> float:
        return REGISTRY.get_sample_value("cryptovault_rpc_seconds_count", labels) or 0.0

    before = count()
    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        with pytest.raises(RemoteError):
            await ask(address)
        await eventually(lambda: count() == before + 1)
    in_flight = REGISTRY.get_sample_value("cryptovault_rpc_in_flight", {"method": labels["method"]})
    assert in_flight == 0


async def test_an_error_ends_a_stream_with_its_facts_after_what_was_sent() -> None:
    async def watch(_request: Any, _context: Any) -> AsyncIterator[empty_pb2.Empty]:
        yield empty_pb2.Empty()
        raise InvalidArgument("Enough.", field="x", rule="y")

    async with (
        serve([streams(watch=watch)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        received: list[Any] = []
        with pytest.raises(RemoteError) as raised:
            await read_all(watch_on(channel), received)
    assert len(received) == 1
    assert raised.value.details == {"field": "x", "rule": "y"}


async def test_a_stream_written_through_the_context_works_the_same() -> None:
    async def watch(_request: Any, context: Any) -> None:
        await context.write(empty_pb2.Empty())
        raise InvalidArgument("Enough.", field="x", rule="y")

    async with (
        serve([streams(watch=watch)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        received: list[Any] = []
        with pytest.raises(RemoteError):
            await read_all(watch_on(channel), received)
    assert len(received) == 1


async def test_requests_and_answers_pass_both_ways_with_the_caller() -> None:
    callers: list[str] = []

    async def enter(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        callers.append(current_caller().service)
        async for request in requests:
            yield request

    async with (
        serve([streams(enter=enter)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        call = enter_on(channel)
        for _ in range(3):
            await call.write(empty_pb2.Empty())
            assert await call.read() == empty_pb2.Empty()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
    assert callers == ["gateway"]


async def test_following_opens_a_broken_stream_again_and_tells_of_the_gap() -> None:
    opened: list[int] = []
    gaps: list[int] = []

    async def watch(_request: Any, _context: Any) -> AsyncIterator[empty_pb2.Empty]:
        opened.append(1)
        yield empty_pb2.Empty()
        if len(opened) == 1:
            raise Unavailable("away")
        if len(opened) == 2:
            return
        await asyncio.Event().wait()

    async with (
        serve([streams(watch=watch)], plays=STREAMING) as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        received = 0
        messages = follow(
            lambda: watch_on(channel), name="test", on_gap=lambda: gaps.append(received), jitter=random.Random(1)
        )
        async for _ in messages:
            received += 1
            if received == 3:
                break
        await messages.aclose()
    assert gaps == [1, 2]


async def test_a_stop_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    began, finish = asyncio.Event(), asyncio.Event()

    async def behaviour(_context: Any) -> str:
        began.set()
        await finish.wait()
        return "finished"

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*portfolio(behaviour))
    address = f"127.0.0.1:{await server.start()}"
    first = asyncio.create_task(ask(address, timeout=60))
    await began.wait()
    stopping = asyncio.create_task(server.stop())
    await eventually(lambda: _refused(address))
    finish.set()
    assert await first == "finished"
    await stopping


async def test_a_stop_does_not_wait_for_subscriptions_and_idle_order_streams_but_for_owed_answers() -> None:
    owed = asyncio.Event()
    answer = asyncio.Event()

    async def watch(_request: Any, _context: Any) -> AsyncIterator[Any]:
        yield empty_pb2.Empty()
        await asyncio.Event().wait()

    async def enter(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            owed.set()
            await answer.wait()
            yield request

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*streams(watch=watch, enter=enter))
    address = f"127.0.0.1:{await server.start()}"
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        subscription, idle, busy = watch_on(channel), enter_on(channel), enter_on(channel)
        await subscription.read()
        await idle.wait_for_connection()
        await busy.write(empty_pb2.Empty())
        await owed.wait()
        started = time.monotonic()
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(RemoteError) as ended:
            await subscription.read()
        assert ended.value.kind is ErrorKind.UNAVAILABLE
        assert not stopping.done()
        answer.set()
        assert await busy.read() == empty_pb2.Empty()
        await stopping
        assert time.monotonic() - started < GRACE_SECONDS


async def test_a_stop_waits_for_each_answer_owed_where_requests_share_a_message() -> None:
    owed = asyncio.Event()
    finish = asyncio.Event()

    async def enter(requests: AsyncIterator[Any], _context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield trading_pb2.EnterOrdersResponse(correlation_id=request.correlation_id)
            owed.set()
            await finish.wait()
            for further in request.further:
                yield trading_pb2.EnterOrdersResponse(correlation_id=further.correlation_id)

    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*streams(enter=enter, request=trading_pb2.EnterOrdersRequest, response=trading_pb2.EnterOrdersResponse))
    address = f"127.0.0.1:{await server.start()}"
    async with open_channel(address, to="portfolio", identity=GATEWAY) as channel:
        call = enter_on(channel, trading_pb2.EnterOrdersRequest, trading_pb2.EnterOrdersResponse)
        message = trading_pb2.EnterOrdersRequest(correlation_id=1)
        message.further.add(correlation_id=2)
        await call.write(message)
        await owed.wait()
        stopping = asyncio.create_task(server.stop())
        assert (await call.read()).correlation_id == 1
        await eventually(lambda: _refused(address))
        finish.set()
        assert (await call.read()).correlation_id == 2
        await stopping


async def test_health_tells_the_state_and_a_taken_port_is_refused() -> None:
    server = GrpcServer("127.0.0.1:0", STREAMING)
    server.add(*portfolio(_sleep_for_ever))
    port = await server.start()
    async with open_channel(f"127.0.0.1:{port}", to="portfolio", identity=GATEWAY) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)

        async def state(name: str) -> int:
            return int((await health.Check(health_pb2.HealthCheckRequest(service=name))).status)

        assert await state("") == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.set_serving(serving=True)
        assert await state(PORTFOLIO) == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(RuntimeError):
            await GrpcServer(f"127.0.0.1:{port}", STREAMING).start()
    await server.stop()


async def _sleep_for_ever(_context: Any) -> str:
    await asyncio.Event().wait()
    return ""


async def _refused(address: str) -> bool:
    try:
        await ask(address, timeout=0.1)
    except RemoteError as error:
        return error.reason != "deadline_exceeded"
    return False
