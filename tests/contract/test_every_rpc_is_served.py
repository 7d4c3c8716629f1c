"""The contracts against the running servers: every service registered, every RPC answered by somebody."""

import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from local_stack.platform import Platform

GENERATED = Path(__file__).resolve().parents[2] / "protos" / "gen"
# Queries about trading are answered by the projector, in a process of its own.
PROCESS_OF = {"cryptovault.trading.v1.TradingQueryService": "trading-projector"}
ANSWER_SECONDS_MAX = 2.0


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
    """Asked with an empty message and no caller, each must answer, refuse or stay silent; none may be unimplemented
    or break.
    """
    service = method.containing_service
    async with grpc.aio.insecure_channel(platform.address(process_of(service))) as channel:
        path = f"/{service.full_name}/{method.name}"
        assert await _status(channel, path, method) not in {
            grpc.StatusCode.UNIMPLEMENTED,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.INTERNAL,
        }


async def _status(channel: grpc.aio.Channel, path: str, method: MethodDescriptor) -> grpc.StatusCode:
    timeout = ANSWER_SECONDS_MAX
    try:
        if method.client_streaming:
            call = channel.stream_stream(path)(timeout=timeout)
            await call.done_writing()
            await call.read()
            call.cancel()
        elif method.server_streaming:
            stream = channel.unary_stream(path)(b"", timeout=timeout)
            await stream.read()
            stream.cancel()
        else:
            await channel.unary_unary(path)(b"", timeout=timeout)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
