"""Requests that two readers could read differently (RFC 9112, section 11.2): none hides a second one inside."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from chassis.testing import eventually
from gateway.edge import http_protocol
from gateway.edge.door_limits import HEAD_BYTES_MAX, PIPELINED_MAX
from gateway.edge.metrics import UNREADABLE
from gateway.schemas.errors import ErrorReply
from raw_http import raw

if TYPE_CHECKING:
    from conftest import Running, Start

HOST = b"Host: x\r\n"
# What an attacker would have read as a request of its own, which nobody in front has seen.
HIDDEN = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-ID: hidden\r\n\r\n"
POST = b"POST /api/v1/auth/resend-code HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNK = b"2\r\n{}\r\n0\r\n\r\n"
SOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

# Head and body, the hidden request at the end, where a reader goes on that has taken the other length.
AMBIGUOUS = {
    "both lengths": POST + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "both lengths, the other way": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + CHUNK,
    "two lengths": POST + b"Content-Length: 0\r\nContent-Length: 2\r\n\r\n{}",
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "a negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "a length in hex": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n{}",
    "a length beyond all numbers": POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNK,
    "chunked, then another coding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNK,
    "two codings in two lines": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + CHUNK,
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNK,
    "a space before the name": POST + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "a tab inside the name": POST + b"Transfer\tEncoding: chunked\r\n\r\n" + CHUNK,
    "a line feed alone in a head": POST + b"X: y\nTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "a carriage return alone in a head": POST + b"X: y\rTransfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "a NUL in a value": POST + b"X: y\0Transfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "a chunk size with a prefix": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk size that is negative": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk size beyond all numbers": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a chunk that ends without a line": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
    "a chunk line that ends in a line feed": POST + b"Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "no host": b"GET /health/live HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /health/live HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two equal hosts": b"GET /health/live HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "a request line in two": b"GET /health/live\r\n HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in the path": b"GET /health\0/live HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/2 spoken to HTTP/1": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a socket with a body": SOCKET + b"Content-Length: 2\r\n\r\n{}",
    "a socket with an empty body": SOCKET + b"Content-Length: 0\r\n\r\n",
    "a socket with chunks": SOCKET + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK,
    "a socket with two keys": SOCKET + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "a socket with two upgrades": SOCKET + b"Upgrade: websocket\r\n\r\n",
    "a socket with half a key": SOCKET.replace(b"dGhlIHNh", b"") + b"\r\n",
    "a socket of another version": SOCKET.replace(b"13", b"8") + b"\r\n",
    "a socket that is posted": SOCKET.replace(b"GET", b"POST") + b"\r\n",
    "a socket in HTTP/1.0": SOCKET.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n",
    "a socket with a header that is no socket's": SOCKET + b"X: " + b"x" * 9_000 + b"\r\n\r\n",
    "a socket with headers that are no socket's": SOCKET + b"X: x\r\n" * 200 + b"\r\n",
}


@pytest.mark.parametrize("request_bytes", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_what_could_be_read_in_two_ways_is_refused_and_its_connection_closed(
    up: "Running", request_bytes: bytes
) -> None:
    answer = await raw(up, request_bytes + HIDDEN)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4"), answer
    # For how it is written, not for what it asks.
    assert ErrorReply.model_validate_json(body[: _length(head)]).error.details["rule"] == "http"
    assert b"hidden" not in answer
    assert not answer.endswith(b"<open>")
    assert up.platform.auth.requests == []


class _Lines:
    """Takes the place of the protocol's log."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def warning(self, _message: str, **fields: Any) -> None:
        self.events.append((fields["event"], fields["left_out"]))


async def test_who_sends_what_cannot_be_read_again_and_again_is_counted_each_time_and_written_down_once(
    start: "Start", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines = _Lines()
    monkeypatch.setattr(http_protocol, "log", lines)
    before = UNREADABLE._value.get()
    async with start() as up:
        caplog.clear()
        for _ in range(20):
            assert (await raw(up, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        await raw(up, HIDDEN * 100)
        assert UNREADABLE._value.get() - before == 21
    assert lines.events == [("request_unreadable", 0)]
    assert [record.name for record in caplog.records if record.name.startswith("uvicorn")] == []


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


async def test_a_socket_does_not_begin_before_the_reply_to_what_was_asked_has_ended(up: "Running") -> None:
    answer = await raw(up, HIDDEN + SOCKET + b"\r\n")
    assert b" 101 " not in answer
    assert not answer.endswith(b"<open>")


async def test_two_requests_in_one_piece_are_two_requests(up: "Running") -> None:
    answer = await raw(up, HIDDEN + HIDDEN.replace(b"hidden", b"second"), wait=False)
    assert answer.count(b"x-request-id: hidden") == answer.count(b"x-request-id: second") == 1


async def test_so_many_requests_in_one_piece_are_answered_and_no_more(up: "Running") -> None:
    """Each that waits costs twenty times its bytes, and who sends ten thousand reads no replies."""
    answer = await raw(up, HIDDEN * (PIPELINED_MAX + 1), wait=False)
    assert answer.count(b"HTTP/1.1 200 ") == PIPELINED_MAX + 1
    assert answer.endswith(b"<open>")
    answer = await raw(up, HIDDEN * 100)
    assert answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 200 ") == PIPELINED_MAX + 1
    assert not answer.endswith(b"<open>")


async def test_what_is_no_request_does_not_take_the_reply_to_the_one_before(up: "Running") -> None:
    """An order that was placed would be told to be unreadable."""
    for nonsense in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"):
        answer = await raw(up, HIDDEN + nonsense)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert answer.count(b"HTTP/1.1 ") == answer.count(b"connection: close") == 1
        assert not answer.endswith(b"<open>")


async def test_a_body_that_cannot_be_read_is_not_answered_twice(up: "Running") -> None:
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(b"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 401 ")
    writer.write(b"no chunk\r\n")
    async with asyncio.timeout(10):
        assert await reader.read(65_536) == b""
    writer.close()


async def test_a_large_chunk_is_no_trailer(up: "Running") -> None:
    body = b'{"email":"ada@example.com"}' + b" " * 60_000
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body))
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 100 ")  # its size was read
    writer.write(body)
    await asyncio.sleep(0.1)  # nothing tells that it was read before its end comes
    writer.write(b"\r\n0\r\n\r\n")
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 202 ")
    writer.close()


async def test_trailers_have_an_end(up: "Running") -> None:
    """They count as neither head nor body, and the parser keeps each in memory until it is whole."""
    endless = (b"x" * 65_536 for _ in range(32))
    answer = await raw(up, POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", *endless, wait=False)
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""
    assert not answer.endswith(b"<open>")


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_behind_an_upgrade_that_is_not_made_nothing_is_read(up: "Running", upgrade: bytes) -> None:
    """The parser leaves out what came in one piece with it: half a request, whose rest would be read as a whole one."""
    first = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n\r\n")
    answer = await raw(up, first + HIDDEN.replace(b"hidden", b"second"))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert not answer.endswith(b"<open>")


async def test_what_a_socket_is_not_asked_for_does_not_matter(up: "Running") -> None:
    for header in (b'Sec-WebSocket-Protocol: "', b"Sec-WebSocket-Extensions: ;", b'Connection: Upgrade, "'):
        assert (await raw(up, SOCKET + header + b"\r\n\r\n", wait=False)).startswith(b"HTTP/1.1 101 ")


async def test_a_bodys_end_is_where_its_length_says(up: "Running") -> None:
    body = b'{"email":"ada@example.com"}'
    answer = await raw(up, POST + b"Content-Length: %d\r\n\r\n" % len(body) + body + HIDDEN, wait=False)
    assert answer.count(b"HTTP/1.1 202 ") == answer.count(b"x-request-id: hidden") == 1


async def test_what_follows_a_body_is_no_header(up: "Running") -> None:
    for name, value in (*up.bearer().items(), ("X-Request-ID", "hidden")):
        trailer = f"{name}: {value}\r\n".encode()
        answer = await raw(
            up,
            b"GET /api/v1/auth/me HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + trailer + b"\r\n",
            wait=False,
        )
        assert answer.startswith(b"HTTP/1.1 401 "), answer
        assert b"hidden" not in answer


async def test_a_head_in_one_piece_is_no_larger_than_one_in_many(up: "Running") -> None:
    large = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: " + b"x" * HEAD_BYTES_MAX + b"\r\n\r\n"
    assert (await raw(up, large, wait=False)).startswith(b"HTTP/1.1 400 ")
    # Nor is the second one of a connection.
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(HIDDEN)
    assert b"hidden" in await reader.read(65_536)
    writer.write(large)
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_a_request_of_http_1_0_needs_no_host(up: "Running") -> None:
    assert (await raw(up, b"GET /health/live HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_head_answers_as_get_without_the_body(up: "Running") -> None:
    paths = [one.path for one in up.gateway.application.endpoints if one.method == "GET" and "{" not in one.path]
    assert len(paths) >= 20
    for path in paths:
        head = await up.client.head(path, headers=up.bearer())
        get = await up.client.get(path, headers=up.bearer())
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-type"] == get.headers["content-type"], path
    assert (await up.client.head("/api/v1/auth/me")).status_code == 401
    assert (await up.client.head("/api/v1/auth/login")).status_code == 405


async def test_one_address_has_so_many_connections_and_closing_one_makes_room(start: "Start") -> None:
    async with start(connections_per_address_max=1) as up:
        # Ten in the profile of tests; the client of this test has had some of them.
        await up.client.aclose()
        kept: list[asyncio.StreamWriter] = []

        async def is_refused() -> bool:
            reader, writer = await asyncio.open_connection(up.host, up.port)
            if await _answers(reader, writer):
                kept.append(writer)
                return False
            writer.close()
            return True

        await eventually(is_refused)
        assert 1 <= len(kept) <= 10
        kept[0].close()
        await eventually(lambda: raw(up, HIDDEN, wait=False))
        for writer in kept:
            writer.close()


async def test_an_open_socket_is_no_connection_of_this_kind(start: "Start") -> None:
    import websockets  # noqa: PLC0415 - one test of this file speaks it

    async with start(connections_per_address_max=1) as up:
        sockets = [await websockets.connect(f"ws://{up.host}:{up.port}/ws") for _ in range(15)]
        assert (await up.client.get("/health/live")).status_code == 200
        for socket in sockets:
            await socket.close()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    try:
        writer.write(HIDDEN)
        await writer.drain()
        return bool(await reader.read(1))
    except ConnectionError:
        return False
