"""Strangers who hold connections and send without end, all on the loopback and for seconds only."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

IDLE_CONNECTIONS = 500
SLOW_HEADS = 50
SLOW_BODIES = 50
LARGE_BODY_BYTES = 30 * 2**20
_PIECE = b"x" * 2**16
_PATIENCE_SECONDS = 1.0  # between two bytes of those who dawdle, and between two large bodies
_POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def siege(url: str) -> AsyncIterator[None]:
    """While it lasts: connections that say nothing, heads and bodies that trickle, and one body of 30 MB after another.

    What the gateway closes is opened again, so that there are always as many.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    trickles = [b""] * IDLE_CONNECTIONS + [b"GET / HTTP/1.1\r\nX: "] * SLOW_HEADS
    trickles += [_POST + b"Content-Length: 1000\r\n\r\n"] * SLOW_BODIES
    opened = asyncio.Barrier(len(trickles) + 1)
    strangers = [asyncio.create_task(_dawdle(host, port, first, opened)) for first in trickles]
    await opened.wait()
    strangers.append(asyncio.create_task(_pour(host, port)))
    try:
        yield
    finally:
        for stranger in strangers:
            stranger.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)


async def _dawdle(host: str, port: int, first: bytes, opened: asyncio.Barrier) -> None:
    waited = False
    while True:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(first)
            if not waited:
                waited = True
                await opened.wait()
            with contextlib.suppress(ConnectionError):
                while not reader.at_eof() and not writer.is_closing():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_PATIENCE_SECONDS):
                            await reader.read(4096)
                    writer.write(b"x" if first else b"")
        finally:
            writer.close()


async def _pour(host: str, port: int) -> None:
    while True:
        with contextlib.suppress(ConnectionError):
            _, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_POST + b"Content-Length: %d\r\n\r\n" % LARGE_BODY_BYTES)
                for _ in range(LARGE_BODY_BYTES // len(_PIECE)):
                    writer.write(_PIECE)
                    await writer.drain()
            finally:
                writer.close()
        await asyncio.sleep(_PATIENCE_SECONDS)
