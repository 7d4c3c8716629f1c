"""What becomes of a connection whose client stops half-way, says too much, or breaks off."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
from added_routes import added, public, waiting_route
from chassis.testing import eventually
from gateway.edge.door_limits import HEADERS_MAX
from gateway.edge.http_protocol import GuardedHttpProtocol
from gateway.routes.endpoint import API
from raw_http import raw
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from conftest import Running

LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-ID: live\r\n\r\n"
REFUSED = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"  # before its body is there
CHUNKED = b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Request-ID: chunked\r\n\r\n"


@pytest.fixture
def short_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.edge.http_protocol.REST_SECONDS_MAX", 0.2)


async def to_the_end(reader: asyncio.StreamReader) -> bytes:
    """All that is still said before the connection closes."""
    async with asyncio.timeout(10):
        return await reader.read()


@pytest.mark.usefixtures("short_rest")
async def test_the_rest_of_a_refused_body_is_waited_for_and_not_for_long(up: "Running") -> None:
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(REFUSED + b"{")
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 401 ")
    assert await to_the_end(reader) == b""
    writer.close()


@pytest.mark.usefixtures("short_rest")
async def test_who_sends_the_rest_of_a_refused_body_may_go_on(up: "Running") -> None:
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(REFUSED + b"{")
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 401 ")
    writer.write(b"}")
    await asyncio.sleep(0.5)
    writer.write(LIVE)
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.usefixtures("short_rest")
async def test_half_a_head_behind_a_request_has_the_time_of_a_head(up: "Running") -> None:
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(LIVE + LIVE[:-2])
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 200 ")
    await asyncio.sleep(0.5)
    writer.write(LIVE[-2:])
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize("between", [b"", LIVE], ids=["next", "after next"])
async def test_a_body_that_cannot_be_read_costs_no_earlier_request_its_reply(up: "Running", between: bytes) -> None:
    """An order that was placed would not be heard of."""
    async with waiting_route(up) as waiting:
        reader, writer = await asyncio.open_connection(up.host, up.port)
        writer.write(waiting.request)
        await waiting.begun.wait()
        for piece in (between + CHUNKED + b"no chunk\r\n" + LIVE, LIVE):
            writer.write(piece)
            await asyncio.sleep(0.1)  # nothing tells that it was read
        waiting.go.set()
        answer = await to_the_end(reader)
        assert answer.startswith(b"HTTP/1.1 204 "), answer
        assert b"x-request-id: slow" in answer
        assert answer.count(b"HTTP/1.1 ") == 1 + bool(between)
        assert answer.count(b"connection: close") == 1
        assert b"x-request-id: chunked" not in answer
        writer.close()


async def test_a_reply_with_requests_behind_it_ends_with_its_client(up: "Running") -> None:
    """Else a table of a minute is written to its end for nobody."""
    ended = asyncio.Event()

    async def rows() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"row"
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async def table(_request: Request) -> Response:
        return StreamingResponse(rows())

    with added(up, public("GET", f"{API}/table", table)):
        reader, writer = await asyncio.open_connection(up.host, up.port)
        writer.write(b"GET /api/v1/table HTTP/1.1\r\nHost: x\r\n\r\n" + LIVE)
        await reader.readuntil(b"row")
        writer.transport.abort()
        async with asyncio.timeout(10):
            await ended.wait()


async def test_who_breaks_off_leaves_nothing(up: "Running") -> None:
    """A thousand a second would be the memory of sixty-five thousand, and none of them counts as a connection."""

    def remembered() -> int:
        gc.collect()
        return sum(isinstance(one, GuardedHttpProtocol) for one in gc.get_objects())

    before = remembered()
    for _ in range(20):
        reader, writer = await asyncio.open_connection(up.host, up.port)
        writer.write(LIVE)
        assert (await reader.read(65_536)).startswith(b"HTTP/1.1 200 ")
        client: socket.socket = writer.get_extra_info("socket")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST instead of FIN
        writer.transport.abort()
    await eventually(lambda: remembered() <= before + 5)


async def test_a_head_has_so_many_headers(up: "Running") -> None:
    """Each costs a hundred bytes beside its own: a megabyte and more for a head of the right size."""
    first = b"GET /health/live HTTP/1.1\r\nHost: x\r\n"
    assert (await raw(up, first + b"a:\r\n" * (HEADERS_MAX - 1) + b"\r\n", wait=False)).startswith(b"HTTP/1.1 200 ")
    answer = await raw(up, first + b"a:\r\n" * HEADERS_MAX + b"\r\n", wait=False)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert not answer.endswith(b"<open>")
