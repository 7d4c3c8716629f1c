"""Both ends of a call over real sockets: what travels, what comes back, how it ends."""

import asyncio
import gc
import weakref
from typing import Any

import grpc
import pytest
from chassis.errors import ErrorKind, InvalidArgument, RemoteBugError, RemoteError, ServiceError, Unavailable
from chassis.grpc_client import CHANNEL_OPTIONS, open_channel
from chassis.grpc_server import _CallInterceptor
from chassis.identity import NOBODY, Caller, NotSignedIn, PermissionMissing, caller_metadata, current_caller, use_caller
from chassis.testing import eventually, serve
from chassis.tracing import current_traceparent
from cryptovault.portfolio.v1.portfolio_pb2 import GetPortfolioRequest
from cryptovault.portfolio.v1.portfolio_pb2_grpc import PortfolioServiceStub
from grpc_services import CALLER, GATEWAY, PORTFOLIO, STREAMING, ask, portfolio
from prometheus_client import REGISTRY


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


async def test_a_refused_call_is_gone_without_the_collector() -> None:
    """Some services freeze what they remember (`gc.freeze`): a cycle that was begun before would stay for ever."""
    seen: list[weakref.ref[BaseException]] = []

    def remembered() -> Exception:
        error = Unavailable("Not now.")
        seen.append(weakref.ref(error))
        return error

    async def behaviour(_context: Any) -> str:
        raise remembered()  # in no variable, which would make a cycle with its own frame

    async with serve([portfolio(behaviour)], plays="portfolio") as address:
        gc.disable()
        try:
            with pytest.raises(RemoteError):
                await ask(address)
            await eventually(lambda: seen[0]() is None)
        finally:
            gc.enable()


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


async def _sleep_for_ever(_context: Any) -> str:
    await asyncio.Event().wait()
    return ""


@pytest.mark.long
async def test_a_silent_connection_is_not_ended_for_its_pings() -> None:
    async def behaviour(_context: Any) -> str:
        return "here"

    async with (
        serve([portfolio(behaviour)], plays="portfolio") as address,
        open_channel(address, to="portfolio", identity=GATEWAY) as channel,
    ):
        await PortfolioServiceStub(channel).GetPortfolio(GetPortfolioRequest())
        # The third ping without data in between would be the one too many.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.5 * dict(CHANNEL_OPTIONS)["grpc.keepalive_time_ms"] / 1000):
                await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
