"""A way to a server on which what is sent can be held back and let go later, answers can be lost, and the server can
die at an exact moment.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

_CHUNK_BYTES = 65_536


class Moment(StrEnum):
    """In the life of a request, as whoever stands between client and server sees it."""

    SENT = "sent"  # the client's bytes are here, and go no further
    PASSED_ON = "passed on"  # they went on; the server may have done as they ask or not
    ANSWERED = "answered"  # the server's answer is here, and goes no further


@dataclass(frozen=True, slots=True)
class _Trap:
    mark: bytes
    moment: Moment
    spring: Callable[[], None]
    pause_seconds: float
    request: asyncio.Future[bytes]


class TcpProxy:
    """Forwards everything; while `held`, nothing of what clients send goes on. `lose_answers` breaks each connection
    that there is when its server answers next; those that are opened afterwards are whole. `trap` breaks one, at an
    exact moment of one request.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._doomed: dict[asyncio.StreamWriter, Callable[[], None]] = {}  # and what happens when their answer comes
        self._trap: _Trap | None = None
        self.held_bytes = 0
        self.lost_answers = 0

    def hold(self) -> None:
        self._open.clear()

    def let_go(self) -> None:
        self._open.set()

    def lose_answers(self) -> None:
        self._doomed = dict.fromkeys(self._connections, _nothing)

    def trap(
        self, mark: bytes, moment: Moment, spring: Callable[[], None], *, pause_seconds: float = 0.0
    ) -> asyncio.Future[bytes]:
        """For one request: the next that has `mark` in its bytes. At that moment of it `spring` is called (the server
        dies, say), and its client gets no answer: the connection breaks. The future then has the request.
        `pause_seconds` is how long the server may work from `PASSED_ON` on.
        """
        self._trap = _Trap(mark, moment, spring, pause_seconds, asyncio.get_running_loop().create_future())
        return self._trap.request

    @asynccontextmanager
    async def serving(self, port: int) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except ConnectionError:
            writer.close()
            return
        self._connections.add(writer)
        for work in (self._forward(reader, target_writer, back=writer), self._answer(target_reader, writer)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(_CHUNK_BYTES):
                if not self._open.is_set():
                    self.held_bytes += len(data)
                    await self._open.wait()
                if self._trap is not None and self._trap.mark in data:
                    await self._meet(self._trap, data, writer, back=back)
                    continue
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _meet(
        self, trap: _Trap, request: bytes, writer: asyncio.StreamWriter, *, back: asyncio.StreamWriter
    ) -> None:
        def spring() -> None:
            trap.spring()
            trap.request.set_result(request)

        self._trap = None
        if trap.moment is Moment.SENT:
            spring()
            writer.close()
            return
        self._doomed[back] = spring if trap.moment is Moment.ANSWERED else _nothing
        writer.write(request)
        await writer.drain()
        if trap.moment is Moment.PASSED_ON:
            await asyncio.sleep(trap.pause_seconds)
            spring()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(_CHUNK_BYTES):
                if writer in self._doomed:
                    self.lost_answers += 1
                    self._doomed.pop(writer)()
                    break
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self._connections.discard(writer)
            writer.close()


def _nothing() -> None:
    pass
