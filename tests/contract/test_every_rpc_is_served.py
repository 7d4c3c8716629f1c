"""The contracts against the running servers: every service registered, every RPC answered by somebody."""

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from chassis.failures import error_info
from chassis.identity import NOBODY, Caller, caller_metadata
from chassis.trust.call_table import CallTable
from chassis.trust.call_tokens import AnotherProcess
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from local_stack.platform import Platform

GENERATED = Path(__file__).resolve().parents[2] / "protos" / "gen"
# Queries about trading are answered by the projector, in a process of its own.
PROCESS_OF = {"cryptovault.trading.v1.TradingQueryService": "trading-projector"}
ANSWER_SECONDS_MAX = 2.0
TABLE = CallTable.load()
PERSON = Caller("", "00000000-0000-7000-8000-000000000001", "session", "request-1", None, frozenset({"markets:write"}))


def services() -> Iterator[ServiceDescriptor]:
    for path in sorted(GENERATED.glob("cryptovault/*/v1/*_pb2.py")):
        name = ".".join(path.relative_to(GENERATED).with_suffix("").parts)
        yield from importlib.import_module(name).DESCRIPTOR.services_by_name.values()


def methods() -> list[MethodDescriptor]:
    return [method for service in services() for method in service.methods]


def process_of(service: ServiceDescriptor) -> str:
    return PROCESS_OF.get(service.full_name, service.full_name.split(".")[1].replace("_", "-"))


def test_there_are_contracts_to_check() -> None:
    assert {service.full_name.split(".")[1] for service in services()} == {
        "auth",
        "market_data",
        "notifications",
        "portfolio",
        "trading",
    }


@pytest.mark.parametrize("service", list(services()), ids=lambda service: service.full_name)
async def test_a_server_says_by_reflection_what_it_serves(platform: Platform, service: ServiceDescriptor) -> None:
    def served() -> list[str]:
        with grpc.insecure_channel(platform.address(process_of(service))) as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert service.full_name in await asyncio.to_thread(served)


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.full_name.removeprefix("cryptovault."))
async def test_an_rpc_has_somebody_behind_it(platform: Platform, method: MethodDescriptor) -> None:
    """Asked with an empty message by a service that may, each must answer, refuse or stay silent; none may be
    unimplemented or break, and none may take it for a stranger's.
    """
    service = method.containing_service
    async with grpc.aio.insecure_channel(platform.address(process_of(service))) as channel:
        path = f"/{service.full_name}/{method.name}"
        caller = min(TABLE.methods[path])
        signer = platform.identity(caller).signer_to(process_of(service))
        metadata = caller_metadata(NOBODY, service=caller)
        status, reason = await _outcome(channel, path, method, [*metadata, signer.token(path, metadata)])
        if reason == AnotherProcess.reason:
            signer.process = await _process_at(channel, path, [*metadata, signer.token(path, metadata)])
            status, reason = await _outcome(channel, path, method, [*metadata, signer.token(path, metadata)])
        assert reason not in {"call_not_trusted", "service_not_allowed", "another_process"}
        assert status not in {
            grpc.StatusCode.UNIMPLEMENTED,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.INTERNAL,
        }


@pytest.mark.parametrize("service", list(services()), ids=lambda service: service.full_name)
async def test_a_stranger_is_answered_by_no_process(platform: Platform, service: ServiceDescriptor) -> None:
    async with grpc.aio.insecure_channel(platform.address(process_of(service))) as channel:
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            # As every caller spoke before there were tokens.
            metadata = caller_metadata(PERSON, service=min(TABLE.methods[path]))
            assert await _outcome(channel, path, method, metadata) == (
                grpc.StatusCode.UNAUTHENTICATED,
                "call_not_trusted",
            )


async def _process_at(channel: grpc.aio.Channel, path: str, metadata: list[tuple[str, str]]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await channel.unary_unary(path)(b"", metadata=metadata, timeout=ANSWER_SECONDS_MAX)
    info = error_info(refusal.value)
    assert info is not None
    return str(info.metadata["process"])


async def _outcome(
    channel: grpc.aio.Channel, path: str, method: MethodDescriptor, metadata: list[tuple[str, str]]
) -> tuple[grpc.StatusCode, str]:
    """The status, and the reason of a refusal."""
    timeout = ANSWER_SECONDS_MAX
    try:
        if method.client_streaming:
            call = channel.stream_stream(path)(metadata=metadata, timeout=timeout)
            await call.done_writing()
            await call.read()
            call.cancel()
        elif method.server_streaming:
            stream = channel.unary_stream(path)(b"", metadata=metadata, timeout=timeout)
            await stream.read()
            stream.cancel()
        else:
            await channel.unary_unary(path)(b"", metadata=metadata, timeout=timeout)
    except grpc.aio.AioRpcError as error:
        info = error_info(error)
        return error.code(), "" if info is None else info.reason
    return grpc.StatusCode.OK, ""
