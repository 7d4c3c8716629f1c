"""A WebSocket client that reads and writes JSON."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import websockets
from gateway.edge.metrics import SOCKETS_CLOSED

if TYPE_CHECKING:
    from conftest import Running

_SECONDS = 15.0  # a machine that runs all tests at once is slow


class Socket:
    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def read(self) -> dict[str, Any]:
        async with asyncio.timeout(_SECONDS):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def read_many(self, count: int) -> list[dict[str, Any]]:
        return [await self.read() for _ in range(count)]

    async def closed_with(self) -> int:
        """The close code, after whatever is still said."""
        async with asyncio.timeout(_SECONDS):
            while True:
                try:
                    await self.connection.recv()
                except websockets.ConnectionClosed:
                    assert self.connection.close_code is not None
                    return self.connection.close_code


@asynccontextmanager
async def connected(up: "Running", **options: Any) -> AsyncIterator[Socket]:
    async with websockets.connect(f"ws://{up.host}:{up.port}/ws", **options) as connection:
        yield Socket(connection)


@asynccontextmanager
async def signed_in(up: "Running", **claims: Any) -> AsyncIterator[Socket]:
    async with connected(up) as socket:
        await socket.send(op="auth", token=up.token(**claims))
        yield socket


def sockets_closed(code: str) -> float:
    """So many ended with this code, since the process began."""
    return SOCKETS_CLOSED.labels(code)._value.get()
