"""Against a server that says what it is told to: what real ones say seldom."""

import asyncio
import base64
import hashlib
import hmac
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import bson
import pytest
from bson.errors import InvalidDocument
from chassis.embedded.ports import free_port_block
from pymongo.errors import DocumentTooLarge
from trading.storage.line_options import LineOptions
from trading.storage.scram import ScramRefused
from trading.storage.wire_connection import COMMAND_BYTES_MAX, REPLY_BYTES_MAX, WireConnection

Answer = Callable[[int, dict[str, Any]], bytes]

ANSWER_SECONDS_MAX = 20.0
PING = {"ping": 1, "$db": "admin"}


def reply(answered: int, document: dict[str, Any], *, kind: int = 2013, flags: int = 0) -> bytes:
    body = struct.pack("<IB", flags, 0) + bson.encode(document)
    return struct.pack("<iiii", 16 + len(body), 7, answered, kind) + body


def fine(number: int, command: dict[str, Any]) -> bytes:
    return reply(number, {"ok": 1, "to": next(iter(command))})


class Script:
    """Answers each command in turn as it is told; the greeting, and what comes after the last, as it should."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.chunk_bytes = 1 << 20

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length, number, _, _ = struct.unpack("<iiii", await reader.readexactly(16))
                command = bson.decode((await reader.readexactly(length - 16))[5:])
                answer = fine if "hello" in command or not self._answers else self._answers.pop(0)
                said = answer(number, command)
                for start in range(0, len(said), self.chunk_bytes):
                    writer.write(said[start : start + self.chunk_bytes])
                    await asyncio.sleep(0.001)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Guard:
    """The server's side of SCRAM-SHA-256, with the empty last turn that MongoDB has."""

    def __init__(self, password: bytes) -> None:
        self._salted = hashlib.pbkdf2_hmac("sha256", password, b"salt", 4096)
        self._said: list[bytes] = []
        self.turns = 0

    def answer(self, number: int, command: dict[str, Any]) -> bytes:
        self.turns += 1
        payload = bytes(command["payload"])
        if "saslStart" in command:
            nonce = payload.partition(b",r=")[2] + b"more"
            self._said = [payload.removeprefix(b"n,,"), b"r=%s,s=%s,i=4096" % (nonce, base64.b64encode(b"salt"))]
            return self._turn(number, self._said[1])
        if payload:
            said = b",".join([*self._said, payload.rpartition(b",p=")[0]])
            key = hmac.digest(self._salted, b"Server Key", "sha256")
            return self._turn(number, b"v=" + base64.b64encode(hmac.digest(key, said, "sha256")))
        return self._turn(number, b"", done=True)

    @staticmethod
    def _turn(number: int, payload: bytes, *, done: bool = False) -> bytes:
        return reply(number, {"ok": 1, "conversationId": 1, "payload": payload, "done": done})


@asynccontextmanager
async def connected(script: Script, user: str = "") -> AsyncIterator[WireConnection]:
    port = free_port_block()
    server = await asyncio.start_server(script.serve, "127.0.0.1", port)
    options = LineOptions.read(f"mongodb://{user}127.0.0.1:{port}/")
    assert options is not None
    try:
        connection = await WireConnection.open("127.0.0.1", port, options, name="test")
        try:
            yield connection
        finally:
            connection.close()
    finally:
        server.close()


async def test_a_reply_that_comes_in_pieces_is_put_together() -> None:
    script = Script()
    script.chunk_bytes = 3
    async with connected(script) as connection:
        assert await connection.command(PING) == {"ok": 1, "to": "ping"}
        assert await connection.command({"other": 1}) == {"ok": 1, "to": "other"}


async def test_two_at_once_get_each_its_own_reply() -> None:
    first: list[int] = []

    def later(number: int, _: dict[str, Any]) -> bytes:
        first.append(number)
        return b""

    def both_the_wrong_way_round(number: int, command: dict[str, Any]) -> bytes:
        return fine(number, command) + fine(first[0], {"one": 1})

    async with connected(Script(later, both_the_wrong_way_round)) as connection:
        replies = await asyncio.gather(connection.command({"one": 1}), connection.command({"two": 1}))
        assert [one["to"] for one in replies] == ["one", "two"]


@pytest.mark.parametrize(
    "said",
    [
        lambda number, _: reply(number + 1, {"ok": 1}),
        lambda number, _: reply(number - 1, {"ok": 1}),  # the one before, again
        lambda number, _: reply(number, {"ok": 1}, kind=1),
        lambda number, _: reply(number, {"ok": 1}, flags=2),  # more to come
        lambda number, _: reply(number, {"ok": 1})[:-3] + b"\xff\xff\xff",
        lambda _, __: struct.pack("<iiii", 3, 0, 0, 2013),
        lambda _, __: struct.pack("<iiii", REPLY_BYTES_MAX + 1, 0, 0, 2013),
        lambda _, __: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
    ids=["another's", "one before", "old kind", "more to come", "no document", "tiny", "huge", "no MongoDB"],
)
async def test_what_is_no_reply_to_the_command_ends_the_connection(said: Answer) -> None:
    async with connected(Script(said)) as connection:
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                await connection.command(PING)
        assert connection.lost
        with pytest.raises(ConnectionError):
            await connection.command(PING)


async def test_a_reply_that_nobody_asked_for_ends_the_connection() -> None:
    async with connected(Script(lambda number, command: 2 * fine(number, command))) as connection:
        await connection.command(PING)
        assert connection.lost


async def test_whoever_gives_up_takes_the_connection_with_him() -> None:
    async with connected(Script(lambda _, __: b"")) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.command(PING)
        assert connection.lost


async def test_a_password_is_proven_in_all_turns() -> None:
    guard = Guard(b"secret")
    async with connected(Script(guard.answer, guard.answer, guard.answer), user="ann:secret@") as connection:
        assert guard.turns == 3
        assert await connection.command(PING) == {"ok": 1, "to": "ping"}


async def test_a_server_that_does_not_know_the_password_is_left() -> None:
    guard = Guard(b"another")
    with pytest.raises(ScramRefused):
        async with connected(Script(guard.answer, guard.answer, guard.answer), user="ann:secret@"):
            pass


async def test_the_network_is_asked_whether_a_silent_server_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[socket.socket] = []
    made = WireConnection.connection_made

    def seen(connection: WireConnection, transport: asyncio.BaseTransport) -> None:
        made(connection, transport)
        lines.append(transport.get_extra_info("socket"))

    monkeypatch.setattr(WireConnection, "connection_made", seen)
    async with connected(Script()):
        assert lines[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        times = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [lines[0].getsockopt(socket.IPPROTO_TCP, name) for name in times] == [120, 10, 9]


async def test_a_command_that_cannot_be_said_is_not_sent() -> None:
    async with connected(Script()) as connection:
        with pytest.raises(DocumentTooLarge):
            await connection.command(PING | {"much": bytes(COMMAND_BYTES_MAX)})
        with pytest.raises(InvalidDocument):
            await connection.command(PING | {"what": object()})
        assert await connection.command(PING) == {"ok": 1, "to": "ping"}
