"""The platform's own table against the contracts: each RPC of each service, and each service as its caller."""

import importlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from chassis.errors import ErrorKind
from chassis.failures import error_info
from chassis.grpc_client import open_channel
from chassis.grpc_server import GrpcServer
from chassis.identity import Caller, caller_metadata
from chassis.metrics import RPC_SECONDS
from chassis.testing.services import identity_of
from chassis.trust.call_table import ANYBODY, CallTable
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

GENERATED = Path(__file__).resolve().parents[3] / "protos" / "gen"
TABLE = CallTable.load()
CALLERS = ("auth", "gateway", "market-data", "notifications", "portfolio", "trading", "trading-projector")
PERSON = Caller(
    service="", user_id="user-1", session_id="session-1", request_id="request-1", address="203.0.113.7",
    permissions=frozenset({"markets:write"}),
)  # fmt: skip


def contracts() -> Iterator[ServiceDescriptor]:
    for path in sorted(GENERATED.glob("cryptovault/*/v1/*_pb2.py")):
        name = ".".join(path.relative_to(GENERATED).with_suffix("").parts)
        yield from importlib.import_module(name).DESCRIPTOR.services_by_name.values()


METHODS = {f"/{service.full_name}/{method.name}": method for service in contracts() for method in service.methods}


def test_every_rpc_of_the_contracts_has_its_row_and_no_row_is_about_nothing() -> None:
    ours = {method for method in TABLE.methods if method.startswith("/cryptovault.")}
    assert ours == set(METHODS)
    assert len(METHODS) > 50


def test_everybody_in_the_table_is_a_service_and_only_probes_and_tools_need_no_name() -> None:
    assert TABLE.services <= set(CALLERS)
    assert all(TABLE.methods.values())
    assert {method.split("/")[1] for method, callers in TABLE.methods.items() if ANYBODY in callers} == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_what_is_called_a_read_is_named_like_one_and_the_others_are_not() -> None:
    reading = ("Get", "List", "Read", "Watch", "Stream", "Preview", "Explain", "Verify", "Require", "Search")
    for path, method in METHODS.items():
        if TABLE.is_read(path):
            assert method.name.startswith(reading), path
    # Each of these moves money or signs somebody in; asked twice by itself, it might do so twice.
    for word in ("Transfer", "EnterOrders", "LogIn", "SignUp", "SendCode", "Create", "Freeze", "Set", "Change"):
        assert not [path for path, method in METHODS.items() if word in method.name and TABLE.is_read(path)]


class Answering:
    """Serves every RPC of the contracts: says who was heard, in the trailing metadata, and ends the call as done."""

    def __init__(self, process: str) -> None:
        self.process = process
        self.heard: list[Caller] = []

    def handlers(self, service: ServiceDescriptor) -> Any:
        return grpc.method_handlers_generic_handler(
            service.full_name, {method.name: self._handler(method) for method in service.methods}
        )

    def _handler(self, method: MethodDescriptor) -> Any:
        from chassis.identity import current_caller  # noqa: PLC0415 - read inside the call

        async def unary(_request: bytes, _context: Any) -> bytes:
            self.heard.append(current_caller())
            return b""

        async def stream(_request: Any, _context: Any) -> Any:
            self.heard.append(current_caller())
            yield b""

        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


async def outcome(channel: grpc.aio.Channel, path: str, metadata: list[tuple[str, str]]) -> tuple[grpc.StatusCode, str]:
    """The status of one call with an empty message, and the reason of its refusal."""
    method = METHODS[path]
    try:
        if method.client_streaming:
            await channel.stream_stream(path)(iter([b""]), metadata=metadata, timeout=10).read()
        elif method.server_streaming:
            await channel.unary_stream(path)(b"", metadata=metadata, timeout=10).read()
        else:
            await channel.unary_unary(path)(b"", metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as error:
        info = error_info(error)
        return error.code(), "" if info is None else info.reason
    return grpc.StatusCode.OK, ""


def signed_as(service: str, path: str, process: str) -> list[tuple[str, str]]:
    metadata, signer = caller_metadata(PERSON, service=service), identity_of(service).signer_to("trading")
    signer.process = process
    return [*metadata, signer.token(path, metadata)]


@pytest.fixture
async def everything() -> AsyncIterator[tuple[grpc.aio.Channel, Answering]]:
    """A server that plays trading and has every RPC there is."""
    identity = identity_of("trading")
    answering = Answering(identity.process)
    server = GrpcServer("127.0.0.1:0", identity)
    for service in contracts():
        handlers = answering.handlers(service)
        server.add(lambda _servicer, at, handlers=handlers: at.add_generic_rpc_handlers((handlers,)), None, "")
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel, answering
    await server.stop(grace_seconds=0.1)


async def test_every_rpc_answers_its_callers_and_nobody_else(everything: tuple[grpc.aio.Channel, Answering]) -> None:
    channel, answering = everything
    for path in METHODS:
        assert await outcome(channel, path, []) == (grpc.StatusCode.UNAUTHENTICATED, "call_not_trusted")
        stranger = signed_as("mallory", path, answering.process)
        assert await outcome(channel, path, stranger) == (grpc.StatusCode.UNAUTHENTICATED, "call_not_trusted")
        for service in CALLERS:
            answering.heard.clear()
            status, reason = await outcome(channel, path, signed_as(service, path, answering.process))
            if service not in TABLE.methods[path]:
                assert (status, reason) == (grpc.StatusCode.PERMISSION_DENIED, "service_not_allowed"), path
                assert answering.heard == []
                continue
            assert status is grpc.StatusCode.OK, path
            (caller,) = answering.heard
            assert caller.service == service
            # Whom a call is about, only the door and what it asks by way of portfolio may say.
            believed = service in {"gateway", "portfolio"}
            assert caller.user_id == ("user-1" if believed else None)
            assert caller.permissions == (PERSON.permissions if believed else frozenset())
            assert (caller.request_id, caller.address) == ("request-1", "203.0.113.7")


async def test_an_rpc_without_a_row_is_refused_to_all() -> None:
    path = "/cryptovault.trading.v1.TradingService/GetBalances"
    table = CallTable(reads={}, commands={})
    with pytest.raises(Exception, match="may not make this call") as refusal:
        table.require("gateway", path)
    assert refusal.value.kind is ErrorKind.FORBIDDEN  # type: ignore[attr-defined]  # matched above
    assert not table.is_open(path)
    assert not table.is_read(path)


async def test_a_probe_is_answered_without_a_name_and_is_nobody() -> None:
    identity = identity_of("trading")
    metadata = caller_metadata(PERSON, service="gateway")
    caller = identity.admit("/grpc.health.v1.Health/Check", metadata, None, b"")
    assert (caller.service, caller.user_id, caller.permissions) == ("", None, frozenset())


async def test_a_command_that_was_overheard_is_not_taken_a_second_time(
    everything: tuple[grpc.aio.Channel, Answering],
) -> None:
    channel, answering = everything
    refused = (grpc.StatusCode.UNAUTHENTICATED, "call_not_trusted")
    for path in METHODS:
        overheard = signed_as(min(TABLE.methods[path]), path, answering.process)
        outcomes = [await outcome(channel, path, overheard) for _ in range(2)]
        assert outcomes[0] == (grpc.StatusCode.OK, "")
        assert outcomes[1] == (outcomes[0] if TABLE.is_read(path) else refused), path


async def test_a_command_that_was_made_for_another_process_does_nothing_and_hears_which_one_this_is(
    everything: tuple[grpc.aio.Channel, Answering],
) -> None:
    """Overheard on its way to a process that ended, or to another of several."""
    channel, answering = everything
    for path, method in METHODS.items():
        for elsewhere in ("", "the one before"):
            answering.heard.clear()
            heard = await outcome(channel, path, signed_as(min(TABLE.methods[path]), path, elsewhere))
            if TABLE.is_read(path) or method.client_streaming:
                assert heard == (grpc.StatusCode.OK, ""), path
            else:
                assert heard == (grpc.StatusCode.UNAVAILABLE, "another_process"), path
                assert answering.heard == []


async def test_nothing_of_a_request_can_be_changed_under_its_token(
    everything: tuple[grpc.aio.Channel, Answering],
) -> None:
    channel, answering = everything
    for path, method in METHODS.items():
        if method.client_streaming:
            continue
        metadata = signed_as(min(TABLE.methods[path]), path, answering.process)
        ask = channel.unary_stream(path) if method.server_streaming else channel.unary_unary(path)
        call = ask(b"\x0a\x01x", metadata=metadata, timeout=10)
        with pytest.raises(grpc.aio.AioRpcError, match="did not prove"):
            await (call.read() if method.server_streaming else call)
    assert answering.heard == []


async def test_a_client_makes_its_command_anew_for_the_process_that_answers_and_says_so_once() -> None:
    method = "/cryptovault.notifications.v1.NotificationsService/SendCode"
    served: list[bytes] = []

    async def send(request: bytes, _context: Any) -> bytes:
        served.append(request)
        return request

    def server(at: str) -> GrpcServer:
        handler: Any = grpc.unary_unary_rpc_method_handler(send)
        handlers = grpc.method_handlers_generic_handler(method.split("/")[1], {"SendCode": handler})
        made = GrpcServer(at, identity_of("notifications"))
        made.add(lambda _servicer, to: to.add_generic_rpc_handlers((handlers,)), None, "")
        return made

    first = server("127.0.0.1:0")
    port = await first.start()
    async with open_channel(f"127.0.0.1:{port}", to="notifications", identity=identity_of("auth")) as channel:
        call = channel.unary_unary(method)
        refused = RPC_SECONDS.labels(method, "UNAVAILABLE")
        before = _count(refused)
        for number in range(3):
            await call(b"%d" % number)
        assert _count(refused) - before == 1
        await first.stop(grace_seconds=0.1)
        second = server(f"127.0.0.1:{port}")
        await second.start()
        await call(b"3", wait_for_ready=True, timeout=10)
        assert _count(refused) - before == 2
        await second.stop(grace_seconds=0.1)
    assert served == [b"0", b"1", b"2", b"3"]


def _count(histogram: Any) -> float:
    count: float = histogram._buckets[-1].get() + sum(bucket.get() for bucket in histogram._buckets[:-1])
    return count
