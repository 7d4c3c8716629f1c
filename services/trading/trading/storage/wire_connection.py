"""One connection to a MongoDB server, for commands that are small and few of a kind.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/: OP_MSG with one section, the command or its reply.
"""

import asyncio
import base64
import platform
import secrets
import socket
import struct
from collections.abc import Mapping
from itertools import count
from typing import Any, cast

import bson
from pymongo.errors import DocumentTooLarge

from trading.storage.line_options import LineOptions
from trading.storage.scram import ScramClient

COMMAND_BYTES_MAX = 16 * 1024 * 1024  # MongoDB takes no larger document
REPLY_BYTES_MAX = 1024 * 1024  # to an insert it is 200 bytes, to the greeting 1 KiB

_HEADER = struct.Struct("<iiii")  # length of all, the message's own id, the id of what it answers, the kind
_LENGTH = struct.Struct("<i")
_MESSAGE_KIND = 2013  # OP_MSG
_PLAIN = bytes(5)  # no flags; a section of one document
_ID_MASK = 0x7FFF_FFFF
_NONCE_BYTES = 24
# After two minutes of silence the network is asked, every 10 s, whether the server is still there, and 9 times in vain
# end the line, as the driver has it: a line that was cut without a word would otherwise be found by the next order, and
# cost it its deadline. By their names, since not every system has them all.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 120, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 9}


class WireBroken(ConnectionError):
    """What came is no reply to what was asked, or nothing more will come. What was asked may have been done."""


class WireConnection(asyncio.Protocol):
    """Replies find their command by its id. Who gives up on one ends the connection, so that no reply comes late."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._ids = count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._transport: asyncio.Transport | None = None
        self.lost = False

    @classmethod
    async def open(cls, host: str, port: int, options: LineOptions, *, name: str) -> "WireConnection":
        """Connected and signed in; `name` is what the server's operators see. Bounded by the caller.

        Raises OSError, ScramRefused.
        """
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(cls, host, port, ssl=options.encryption)
        try:
            await connection.command({"hello": 1, "client": _introduction(name), "$db": "admin"})
            if options.username is not None:
                await _sign_in(connection, options)
        except BaseException:
            connection.close()
            raise
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        # Written at once, not when the event loop has done all else that is ready.
        self._transport.set_write_buffer_limits(high=0)
        _keep_alive(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (message := self._next_message()) is not None:
                self._take(message)
        except (WireBroken, bson.errors.BSONError) as error:
            self._end(WireBroken(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or WireBroken("the server closed the connection"))

    async def command(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """The reply, also where it is a refusal. `command` names its database as `$db`.

        Raises:
            InvalidDocument, DocumentTooLarge: nothing was sent.
            OSError: the connection is lost; what was asked may have been done.
        """
        body = bson.encode(command)
        if len(body) > COMMAND_BYTES_MAX:
            raise DocumentTooLarge(f"a command of {len(body)} bytes")
        if self._transport is None or self.lost:
            raise WireBroken("the connection is closed")
        number = next(self._ids) & _ID_MASK
        waiter: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        length = _HEADER.size + len(_PLAIN) + len(body)
        self._transport.write(b"".join([_HEADER.pack(length, number, 0, _MESSAGE_KIND), _PLAIN, body]))
        try:
            return await waiter
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        self._end(WireBroken("the connection was given up"))

    def _next_message(self) -> bytes | None:
        if len(self._buffer) < _HEADER.size:
            return None
        length = _LENGTH.unpack_from(self._buffer)[0]
        if not _HEADER.size + len(_PLAIN) < length <= REPLY_BYTES_MAX:
            raise WireBroken(f"a reply of {length} bytes")
        if len(self._buffer) < length:
            return None
        message = bytes(self._buffer[:length])
        del self._buffer[:length]
        return message

    def _take(self, message: bytes) -> None:
        _, _, answered, kind = _HEADER.unpack_from(message)
        if answered not in self._waiting or kind != _MESSAGE_KIND or not message.startswith(_PLAIN, _HEADER.size):
            raise WireBroken("a message that is no reply to what was asked")
        reply = bson.decode(message[_HEADER.size + len(_PLAIN) :])
        waiter = self._waiting.pop(answered)
        if not waiter.done():
            waiter.set_result(reply)

    def _end(self, error: Exception) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.abort()
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting.values():
            if not waiter.done():
                waiter.set_exception(error)


def _keep_alive(line: socket.socket) -> None:
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _introduction(name: str) -> dict[str, Any]:
    driver = {"name": "cryptovault", "version": "1"}
    return {"application": {"name": name}, "driver": driver, "os": {"type": platform.system()}}


async def _sign_in(connection: WireConnection, options: LineOptions) -> None:
    nonce = base64.b64encode(secrets.token_bytes(_NONCE_BYTES)).decode()
    client = ScramClient(options.username or "", options.password or "", nonce)
    database = options.authentication_database
    start = {"saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": client.first(), "$db": database}
    begun = await _step(connection, start)
    further = {"saslContinue": 1, "conversationId": begun.get("conversationId"), "$db": database}
    ended = await _step(connection, further | {"payload": client.proof(begun.get("payload", b""))})
    client.check(ended.get("payload", b""))
    if not ended.get("done"):  # MongoDB has one more, empty turn
        await _step(connection, further | {"payload": b""})


async def _step(connection: WireConnection, command: Mapping[str, Any]) -> dict[str, Any]:
    reply = await connection.command(command)
    if not reply.get("ok"):
        raise WireBroken(f"not signed in: {reply.get('codeName')}")
    return reply
