"""A closed-loop HTTP/1.1 client that costs little, so that two cores measure the server and not the client.

It knows just enough of RFC 9112 for replies with a Content-Length, which is all that our servers send.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

CONNECT_TIMEOUT_SECONDS = 5.0
_HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Reply:
    status: int
    head: bytes
    body: bytes


class Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._waiter: asyncio.Future[Reply] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # TCP gives one; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head_end = self._buffer.find(_HEAD_END)
        if head_end < 0:
            return
        body_start = head_end + len(_HEAD_END)
        total = body_start + _content_length(self._buffer[:head_end])
        if len(self._buffer) < total or self._waiter is None:
            return
        reply = Reply(int(self._buffer[9:12]), self._buffer[:head_end], self._buffer[body_start:total])
        self._buffer = self._buffer[total:]
        waiter, self._waiter = self._waiter, None
        if not waiter.done():
            waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionError("the server closed the connection"))

    async def send(self, request: bytes) -> Reply:
        """One request's bytes out, its reply back. Raises ConnectionError when the server goes away."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the connection is closed")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(b"content-length:")
    if start < 0:
        return 0
    start += len(b"content-length:")
    end = lowered.find(b"\r\n", start)
    return int(lowered[start : end if end > 0 else len(lowered)])


async def connect(base_url: str) -> Connection:
    parts = urlsplit(base_url)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
        _, connection = await loop.create_connection(Connection, parts.hostname or "127.0.0.1", parts.port or 80)
    return connection


def request_bytes(method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + _HEAD_END + body


@dataclass(slots=True)
class Samples:
    """What a closed loop saw: seconds per request, statuses, and the wall time of the whole."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wall_seconds: float = 0.0
    unexpected: bytes = b""

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.wall_seconds if self.wall_seconds else 0.0

    def percentile(self, percent: float) -> float:
        """The nearest-rank percentile, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def closed_loop(
    base_url: str, *, concurrency: int, duration_seconds: float, next_request: Callable[[int, int], bytes], expect: int
) -> Samples:
    """`concurrency` clients, each sending its next request as soon as the last was answered.

    `next_request(client, turn)` gives the bytes. A reply with another status than `expect` is counted apart, not timed.
    """
    samples = Samples()
    connections = [await connect(base_url) for _ in range(concurrency)]
    started = time.perf_counter()
    ends = started + duration_seconds

    async def client(number: int, connection: Connection) -> None:
        turn = 0
        while (begun := time.perf_counter()) < ends:
            reply = await connection.send(next_request(number, turn))
            turn += 1
            samples.statuses[reply.status] = samples.statuses.get(reply.status, 0) + 1
            if reply.status == expect:
                samples.seconds.append(time.perf_counter() - begun)
            else:
                samples.unexpected = reply.body

    try:
        async with asyncio.TaskGroup() as group:
            for number, connection in enumerate(connections):
                group.create_task(client(number, connection))
    finally:
        samples.wall_seconds = time.perf_counter() - started
        for connection in connections:
            connection.close()
    return samples
