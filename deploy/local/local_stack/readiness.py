"""How a process shows that it serves: each kind of probe answers yes, or not yet."""

import asyncio
import re
from collections.abc import Callable
from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PROBE_SECONDS = 2.0  # a process that takes longer to say yes does not serve
_UNSHARED = [("grpc.use_local_subchannel_pool", 1)]


class OutputTail(Protocol):
    """What a process wrote in this life."""

    def has(self, pattern: re.Pattern[str]) -> bool: ...


class Readiness(Protocol):
    """Asked again and again until it answers True. Raises nothing."""

    async def __call__(self, output: OutputTail, /) -> bool: ...


class GrpcHealth:
    """The overall health of a gRPC server is SERVING."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self, _output: OutputTail, /) -> bool:
        if not await accepts(self._port):
            return False
        # A channel of its own each time: a kept one would sit in its own back-off after the first refusal.
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._port}", _UNSHARED) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]  # its stubs leave it out
            try:
                reply = await check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
            except grpc.aio.AioRpcError:
                return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


class HttpOk:
    """A GET answers 200."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()

    async def __call__(self, _output: OutputTail, /) -> bool:
        # By hand: a client library would load the machine's certificates for each question, 0.3 s of CPU.
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(self._request)
                    status_line = await reader.readline()
                finally:
                    writer.close()
        except OSError:
            return False
        return status_line.split()[1:2] == [b"200"]


class PortOpen:
    """Somebody accepts connections."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self, _output: OutputTail, /) -> bool:
        return await accepts(self._port)


class Answers:
    """A client of the server's own kind gets through; the question blocks, so it is asked in a thread."""

    def __init__(self, port: int, question: Callable[[], bool]) -> None:
        self._port = port
        self._question = question

    async def __call__(self, _output: OutputTail, /) -> bool:
        return await accepts(self._port) and await asyncio.to_thread(self._question)


class SaysLine:
    """The process wrote a line that matches: for those with no door to knock at."""

    def __init__(self, pattern: str) -> None:
        self._pattern = re.compile(pattern)

    async def __call__(self, output: OutputTail, /) -> bool:
        return output.has(self._pattern)


async def accepts(port: int) -> bool:
    """Somebody listens there. Asked before any dearer question: while all start, the cores are what they wait for."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
