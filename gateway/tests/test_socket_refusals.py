"""What a WebSocket does not take: bad messages, too many of them, and clients that keep it from ending."""

import asyncio
from typing import TYPE_CHECKING

import pytest
import websockets
from chassis.testing import eventually
from gateway.edge import socket_protocol
from gateway.schemas.errors import ErrorReply
from sockets import connected, signed_in, sockets_closed

if TYPE_CHECKING:
    from conftest import Running, Start


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "1", "null", '{"op":"dance"}', '{"op":"subscribe"}', '{"op":"subscribe","channel":"candles"}',
        '{"op":"subscribe","channel":"prices","after":1}', '{"op":"subscribe","channel":"prices","after":"1"}',
        '{"op":"subscribe","channel":"prices","market":"BTC-USD"}', '{"op":"ping","extra":1}', '{"op":NaN}',
        '{"op":"auth"}', '{"op":"auth","token":5}', '{"op":"auth","token":"a b"}', '{"op":"\\ud800"}',
        '{"op":"subscribe","channel":"orders","after":-1}', '{"op":"subscribe","channel":"orders","after":1.5}',
        "[" * 4_000, '{"op":"ping","op":"ping"}',
    ],
)  # fmt: skip
async def test_a_bad_message_is_answered_with_an_error_and_the_socket_stays(up: "Running", text: str) -> None:
    async with connected(up) as socket:
        await socket.connection.send(text)
        message = await socket.read()
        assert message["op"] == "error"
        assert message["error"]["code"] == "VALIDATION_ERROR"
        assert message["error"]["details"]["rule"]
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}


async def test_a_message_over_4_kib_closes_the_socket(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.connection.send('{"op":"ping"}' + " " * 4_096)
        assert await socket.closed_with() == 1009


async def test_binary_messages_close_the_socket(up: "Running") -> None:
    async with connected(up) as socket:
        await socket.connection.send(b'{"op":"ping"}')
        assert await socket.closed_with() == 1003


async def test_too_many_messages_close_the_socket(up: "Running") -> None:
    async with connected(up) as socket:
        for _ in range(302):
            await socket.send(op="ping")
        assert await socket.closed_with() == 4429


MASK = b"\x80\x00\x00\x00\x00"  # of an empty frame


@pytest.mark.parametrize("frame", [b"\x89", b"\x8a", b"\x00"], ids=["ping", "pong", "part of a message"])
async def test_too_many_frames_that_no_message_is_made_of_close_the_socket(up: "Running", frame: bytes) -> None:
    """Pongs to who reads none would fill our memory, and reading tiny frames would take all our time."""
    async with connected(up) as socket:
        before = sockets_closed("4429")
        socket.connection.transport.write(b"\x01" + MASK + (frame + MASK) * 100_000)
        assert await socket.closed_with() == 4429
        assert sockets_closed("4429") == before + 1


async def test_text_that_is_no_utf_8_closes_the_socket_and_is_no_error_of_ours(
    up: "Running", caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(up) as socket:
        before = sockets_closed("1007")
        socket.connection.transport.write(b"\x81\x82" + MASK[1:] + b"\xff\xfe")
        assert await socket.closed_with() == 1007
        assert sockets_closed("1007") == before + 1
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_who_answers_no_close_is_not_waited_for(up: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_protocol, "CLOSE_SECONDS_MAX", 0.2)
    reader, writer = await asyncio.open_connection(up.host, up.port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert (await reader.read(65_536)).startswith(b"HTTP/1.1 101 ")
    writer.write(b"\x82" + MASK)  # no text, so it is closed
    async with asyncio.timeout(5):
        while await reader.read(65_536):
            pass
    writer.close()


async def test_a_subscription_counts_like_the_read_that_it_is(start: "Start") -> None:
    async with start(limit_account_per_user=5, limit_market_data_per_address=5, limit_factor=1) as up:
        for channel, more in (("orders", {}), ("book", {"market": "BTC-USD"})):
            async with signed_in(up) as socket:
                for _ in range(6):
                    await socket.send(op="subscribe", channel=channel, **more)
                while "op" not in (message := await socket.read()):
                    pass
                assert (message["op"], message["error"]["code"]) == ("error", "RATE_LIMIT_EXCEEDED")
                await socket.send(op="ping")
                while (await socket.read()).get("op") != "pong":
                    pass


async def test_one_address_has_only_so_many_sockets(start: "Start") -> None:
    async with start(sockets_per_address_max=1) as up:  # times ten in tests
        async with asyncio.TaskGroup() as group:
            sockets = [connected(up) for _ in range(10)]
            opened = [await group.create_task(socket.__aenter__()) for socket in sockets]
        async with connected(up) as one_too_many:
            assert await one_too_many.closed_with() == 4429
        for socket in sockets:
            await socket.__aexit__(None, None, None)

        async def room_again() -> bool:
            async with connected(up) as socket:
                await socket.send(op="ping")
                try:
                    return await socket.read() == {"op": "pong"}
                except websockets.ConnectionClosed:
                    return False

        assert len(opened) == 10
        await eventually(room_again)


async def test_a_socket_elsewhere_than_ws_is_refused(up: "Running") -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await websockets.connect(f"ws://{up.host}:{up.port}/elsewhere")
    assert refusal.value.response.status_code == 404
    assert ErrorReply.model_validate_json(refusal.value.response.body).error.code == "NOT_FOUND"
