"""One connection to Redis for the one question that every request asks. The general client costs five times as much
for it: 100 µs of CPU instead of 20, as much as the rest of a read's admission. See decision 0064.

Protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/ (RESP2), read and written by hiredis.
"""

import asyncio
import contextlib
import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import hiredis
from chassis.errors import ErrorKind, ServiceError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from gateway.admission.redis_options import RedisOptions

Argument = str | bytes | int

_START_SECONDS = 2.0  # as long a start waits for Redis, which it can do without


class ClusterRefused(RedisError, ServiceError):
    """A cluster runs no script over keys of several slots, and the gate's touches an address, a user and a session."""

    kind = ErrorKind.UNAVAILABLE
    reason = "redis_cluster"

    def __init__(self) -> None:
        super().__init__(
            "The gateway needs one Redis (with replicas, if you like), not a Redis Cluster (decision 0088)."
        )


async def refuse_cluster(url: str) -> None:
    """Raises ClusterRefused. Who cannot be reached may still be one: each later connection asks again."""
    line = RedisLine(url)
    try:
        async with asyncio.timeout(_START_SECONDS):
            await line.call("PING")
    except ClusterRefused:
        raise
    except (RedisError, OSError, TimeoutError):
        return
    finally:
        await line.aclose()


class RedisLine:
    """Connects when it is first asked, and again after it broke. Cheap to hold, safe to close twice."""

    def __init__(self, url: str) -> None:
        """`url` as redis-py takes it: `redis://`, `rediss://` or `unix://`. ValueError for what is not honoured."""
        self._options = RedisOptions.read(url)
        self._open: _Connection | None = None
        self._opening = asyncio.Lock()

    async def call(self, *command: Argument) -> Any:
        """The reply: bytes, int, None or a list of them. Bounded by the caller.

        Raises:
            ResponseError: Redis refused the command.
            OSError, RedisConnectionError: Redis cannot be reached, or went away; the command may have been carried out.
        """
        connection = self._open
        if connection is None or connection.lost:
            connection = await self._connected()
        return await connection.call(command)

    async def aclose(self) -> None:
        if self._open is not None:
            self._open.close()
            await self._open.closed.wait()

    async def _connected(self) -> "_Connection":
        async with self._opening:
            if self._open is not None and not self._open.lost:
                return self._open
            connection = await _connect(self._options)
            try:
                await _introduce(connection, self._options)
            except BaseException:
                connection.close()
                raise
            self._open = connection
            return connection


class RedisScript:
    """A Lua script that Redis keeps: asked for by its digest, sent whole where Redis does not know it."""

    def __init__(self, line: RedisLine, source: str) -> None:
        self._line = line
        self._source = source
        self._digest = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()  # the name that Redis gives it

    async def call(self, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """What the script returns. Raises as `RedisLine.call`."""
        try:
            return await self._line.call("EVALSHA", self._digest, len(keys), *keys, *arguments)
        except ResponseError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
        return await self._line.call("EVAL", self._source, len(keys), *keys, *arguments)


class _Connection(asyncio.Protocol):
    """Redis answers in the order asked, so the oldest waiter is always the one who is meant."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=ResponseError)
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport | None = None
        self.lost = False
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while self._waiting and (reply := self._reader.gets()) is not False:
                waiter = self._waiting.popleft()
                if waiter.done():
                    continue
                if isinstance(reply, ResponseError):
                    waiter.set_exception(reply)
                else:
                    waiter.set_result(reply)
        except hiredis.ProtocolError:
            self.close()
            return
        if not self._waiting and self._reader.has_data():
            # Nobody asked for this: were it kept, it and every later answer would go to the wrong one.
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.closed.set()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(exc or RedisConnectionError("Redis closed the connection."))

    async def call(self, command: tuple[Argument, ...]) -> Any:
        if self._transport is None or self.lost:
            raise RedisConnectionError("The connection is closed.")
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._transport.write(hiredis.pack_command(cast(Any, command)))
        try:
            return await waiter
        except asyncio.CancelledError:
            # Whoever gave up did so because Redis is late: the next one is better off with a new connection.
            self.close()
            raise

    def close(self) -> None:
        self.lost = True
        if self._transport is not None:
            self._transport.abort()


async def _connect(options: RedisOptions) -> _Connection:
    loop = asyncio.get_running_loop()
    if options.path is not None:
        _, connection = await loop.create_unix_connection(_Connection, options.path)
        return connection
    _, connection = await loop.create_connection(_Connection, options.host, options.port, ssl=options.encryption)
    return connection


async def _introduce(connection: _Connection, options: RedisOptions) -> None:
    if options.username or options.password:
        name = (options.username,) if options.username else ()
        await connection.call(("AUTH", *name, options.password or ""))
    if options.database:
        await connection.call(("SELECT", options.database))
    # Whoever may not ask is not told; then a script that fails will tell.
    with contextlib.suppress(ResponseError):
        about = await connection.call(("INFO", "cluster"))
        if isinstance(about, bytes) and b"cluster_enabled:1" in about:
            raise ClusterRefused
