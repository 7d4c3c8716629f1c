"""uvicorn, run inside our own loop: it listens when the parts are ready and stops when we say so."""

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn
from chassis.clock import SystemClock
from chassis.sparing_log import SparingLog

from gateway.edge.connection_limits import ConnectionLimits
from gateway.edge.door import Application
from gateway.edge.door_limits import KEEP_ALIVE_SECONDS
from gateway.edge.http_protocol import limited_to
from gateway.edge.socket_protocol import GuardedSocketProtocol

SOCKET_MESSAGE_BYTES_MAX = 4_096  # the longest message a client has to send carries a token
_BACKLOG = 2_048
_PING_SECONDS = 20.0
_POLL_SECONDS = 0.01


class HttpServer:
    def __init__(
        self, application: Application, *, host: str, port: int, connections: ConnectionLimits, stop_seconds: int
    ) -> None:
        config = uvicorn.Config(
            application,
            host=host,
            port=port,
            http=limited_to(connections, SparingLog(SystemClock())),
            ws=GuardedSocketProtocol,
            ws_max_size=SOCKET_MESSAGE_BYTES_MAX,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PING_SECONDS,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            access_log=False,
            # The door walks X-Forwarded-For itself, by an explicit list of proxies.
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=stop_seconds,
            # The door refuses what is too much, in our shape; uvicorn would answer plain text.
            limit_concurrency=None,
        )
        self._server = _Server(config)

    async def run(self) -> None:
        """Serve until cancelled, then let running requests end."""
        serving = asyncio.create_task(self._server.serve(), name="http")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.should_exit = True
            await serving
            raise
        except SystemExit as stop:
            # uvicorn's way to say that the address is taken.
            raise RuntimeError("the HTTP server could not start") from stop

    async def listening(self) -> int:
        """The port, once it listens."""
        while not self._server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(_POLL_SECONDS)
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's, which stops its parts in order."""
        yield
