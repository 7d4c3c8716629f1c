"""uvicorn's HTTP connection, with an end to its patience: stock, half a request keeps a connection for ever."""

import asyncio
import logging
import re
import socket
from typing import Any, cast

from chassis.logs import get_logger
from chassis.sparing_log import SparingLog
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.admission.cookies import CSRF_HEADER
from gateway.admission.signatures import KEY_HEADER, NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER
from gateway.edge.connection_limits import ConnectionLimits
from gateway.edge.door_limits import (
    HEAD_BYTES_MAX,
    HEAD_SECONDS_MAX,
    HEADERS_MAX,
    PIPELINED_MAX,
    REST_SECONDS_MAX,
    UNREAD_SECONDS_MAX,
)
from gateway.edge.metrics import UNREADABLE
from gateway.edge.request_ids import RequestIds
from gateway.edge.security_headers import DEFAULT_HEADERS, SECURITY_HEADERS
from gateway.errors import invalid

# Who asks whom for what: of these a request has one, or none.
_ONCE = (
    b"host", b"origin", b"authorization", b"cookie", b"content-type", CSRF_HEADER, KEY_HEADER, TIMESTAMP_HEADER,
    NONCE_HEADER, SIGNATURE_HEADER, b"upgrade", b"sec-websocket-key", b"sec-websocket-version",
)  # fmt: skip
_SOCKET_PATH = b"/ws"
_NOT_THE_SOCKETS = frozenset({b"connection", b"sec-websocket-protocol"})
_SOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # 16 bytes (RFC 6455, section 4.1)

log = get_logger(__name__)


class _Ambiguous(Exception):
    """For the parser, which makes of it what it makes of all that is not HTTP."""


class _TooLarge(Exception):
    """As well."""


class _TooMany(Exception):
    """As well."""


class GuardedHttpProtocol(HttpToolsProtocol):
    """A head of a request arrives whole within its time and size, or the connection closes.

    What is not HTTP, or says twice who asks or which host is asked, gets an error of our shape too. `limits` and
    `unreadable` are set once, by `limited_to`.
    """

    limits: ConnectionLimits
    unreadable: SparingLog
    request_ids = RequestIds()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # uvicorn warns of each request that it cannot read, as often as a stranger likes. Its errors are told as ever.
        self.logger = self.logger.getChild("http")
        self.logger.setLevel(logging.ERROR)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_bytes = 0  # as they come
        self._read_bytes = 0  # of them, names and values that were read
        self._head_timer: asyncio.TimerHandle | None = None
        self._rest_timer: asyncio.TimerHandle | None = None
        self._message_complete = True
        self._trailer_bytes: int | None = None  # that came since a chunk's size; None where its contents do
        self._deaf = False  # what comes is not read any more: only replies are owed
        self._running: RequestResponseCycle | None = None  # the oldest that is not answered; `cycle` is the newest
        self._peer = self.client[0] if self.client else ""
        _expect_reading(transport)
        self._counted = self.limits.enter(self._peer)
        if not self._counted or len(self.connections) > self.limits.total:
            transport.close()
            return
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_rest_timer()
        self._leave()
        super().connection_lost(exc)
        # uvicorn's own timer would keep all of this for a minute where the client did not close but broke off.
        self._unset_keepalive_if_required()
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells the newest alone, which waits its turn; this one is at work for nobody.
            self._running.disconnected = True
            self._running.message_event.set()

    def handle_websocket_upgrade(self) -> None:
        # Sockets have limits of their own.
        self._leave()
        # Judged already, or nothing to us. What the socket's own parser finds wrong in them it answers in plain text.
        kept = [pair for pair in self.scope["headers"] if pair[0] not in _NOT_THE_SOCKETS]
        self.scope["headers"] = [*kept, (b"connection", b"Upgrade")]
        super().handle_websocket_upgrade()
        # The head is there in full. What the socket's own parser does not take of it, such as a line of 9 kB, it would
        # neither answer nor end.
        socket = cast("WebSocketsSansIOProtocol", self.transport.get_protocol())
        if not socket.handshake_initiated:
            self.send_400_response("This opens no socket.")

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._head_timer is not None:
            self._head_bytes += len(data)
            # A large body may come with its head in one piece: here only what never ends its head is refused.
            if self._head_bytes > HEAD_BYTES_MAX and b"\r\n\r\n" not in data:
                self.send_400_response("The head of the request is too large.")
                return
        if self._trailer_bytes is not None:
            self._trailer_bytes += len(data)
        super().data_received(data)
        if self._trailer_bytes is not None and self._trailer_bytes > HEAD_BYTES_MAX:
            # The parser gathers each in memory, of any length, and the limits of heads and bodies do not see it.
            self.send_400_response("The trailers of the request are too large.")
        if self._is_idle():
            # uvicorn ends its patience with whatever comes. The rest of a body that was refused, or an empty line, is
            # no request whose reply would begin it again.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._message_complete = False
        self._trailer_bytes = None
        self._read_bytes = 0
        if self._head_timer is None:
            self._head_bytes = 0
            self._start_head_timer()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        # After a body come trailers, which say nothing here: as headers they would name a caller, or an address, that
        # nobody in front has judged (RFC 9110, section 6.5.1).
        if self._head_timer is not None:
            self._count(len(name) + len(value))
            if len(self.headers) >= HEADERS_MAX:
                raise _TooLarge
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        names = [name for name, _ in self.headers]
        if len(set(names)) != len(names) and any(names.count(name) > 1 for name in _ONCE):
            # Two readers that choose different ones see different requests.
            raise _Ambiguous
        if self.parser.get_http_version() == "1.1":
            if b"host" not in names:
                raise _Ambiguous  # RFC 9112, section 3.2
        elif b"transfer-encoding" in names:
            raise _Ambiguous  # RFC 9112, section 6.1: a proxy of that version reads no chunks
        if self.parser.should_upgrade() and self._should_upgrade():
            self._check_handshake()
        if len(self.pipeline) >= PIPELINED_MAX:
            raise _TooMany
        super().on_headers_complete()
        if self.parser.should_upgrade() and not self._should_upgrade():
            # Of what comes in one piece with it the parser leaves out the rest, so that a request would begin anywhere.
            self.cycle.keep_alive = False

    def on_chunk_header(self) -> None:
        self._trailer_bytes = 0

    def on_body(self, body: bytes) -> None:
        self._trailer_bytes = None
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._message_complete = True
        self._trailer_bytes = None
        self._stop_rest_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Answered before its body was there: the rest is read and thrown away, for a while. Not where it is another
        # request that has begun to come.
        answered = self.cycle.response_complete and self.cycle.scope is self.scope
        if answered and not self._message_complete and self._rest_timer is None:
            self._rest_timer = self.loop.call_later(REST_SECONDS_MAX, self._give_up)

    def send_400_response(self, msg: str) -> None:
        """For what could not be parsed; it never reached the application. `msg` is for the log."""
        self._stop_head_timer()
        if self.transport.is_closing() or self._deaf:
            return
        self._note_unreadable(msg)
        if self.cycle is not None and not self._answer_is_due(self.cycle):
            return
        request_id = self.request_ids.next()
        error = invalid("This is not a request that we can read.", field="request", rule="http")
        body = error.document(request_id=request_id.decode())
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", request_id),
            *DEFAULT_HEADERS,
            *SECURITY_HEADERS,
        ]
        head = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + body)
        self.transport.close()

    def _note_unreadable(self, problem: str) -> None:
        UNREADABLE.inc()
        left_out = self.unreadable.turn(problem)
        if left_out is not None:
            log.warning(
                "Request cannot be read",
                event="request_unreadable",
                problem=problem,
                peer=self._peer,
                left_out=left_out,
            )

    def _answer_is_due(self, newest: RequestResponseCycle) -> bool:
        """Whether what could not be read is next to be answered. Else the answer would be taken for that to an earlier
        request, an order that is being placed; that one is answered, and the connection ends.
        """
        if newest.scope is self.scope and not self._message_complete:
            # Of a request that we have: it is its body that could not be read.
            if not self.pipeline:
                if newest.response_started:
                    self.transport.close()
                return not newest.response_started
            # It waits for its turn, which does not come: the one before it is the last.
            self.pipeline.popleft()
            newest = self.pipeline[0][0] if self.pipeline else cast("RequestResponseCycle", self._running)
        if not newest.response_complete:
            newest.keep_alive = False
            self._deaf = True
            self.flow.resume_reading()  # closed with something unread, the system takes back what was answered
        return newest.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: anybody may ask, and uvicorn would write a line for each piece of what follows."""

    def _is_idle(self) -> bool:
        return (
            self.cycle is not None
            and self.cycle.response_complete
            and self._message_complete
            and self._head_timer is None
            and self.timeout_keep_alive_task is None
            and not self.transport.is_closing()
            and self.transport.get_protocol() is self  # it is no WebSocket by now
        )

    def _should_upgrade(self) -> bool:
        # Elsewhere it is answered as if it had not asked (RFC 9110, section 7.8).
        return super()._should_upgrade() and self.url.partition(b"?")[0] == _SOCKET_PATH

    def _check_handshake(self) -> None:
        """Here, since the socket's own refusal is plain text that repeats what was sent."""
        headers = dict(self.headers)
        is_handshake = (
            self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and _SOCKET_KEY.fullmatch(headers.get(b"sec-websocket-key", b"")) is not None
            and headers.get(b"sec-websocket-version") == b"13"
            # What follows the head is frames; a body would be read as such by one of two readers.
            and headers.keys().isdisjoint({b"content-length", b"transfer-encoding"})
            # The reply to an earlier request, still being written, would come among them.
            and (self.cycle is None or self.cycle.response_complete)
        )
        if not is_handshake:
            raise _Ambiguous

    def _count(self, read: int) -> None:
        self._read_bytes += read
        if self._read_bytes > HEAD_BYTES_MAX:
            raise _TooLarge

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS_MAX, self._give_up)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_rest_timer(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def _leave(self) -> None:
        if self._counted:
            self._counted = False
            self.limits.leave(self._peer)

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()


def _expect_reading(transport: asyncio.Transport) -> None:
    """The system ends a connection where nothing of what was written is read. Closing it would wait for its reader."""
    connection = transport.get_extra_info("socket")
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux alone has it (tcp(7))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_SECONDS_MAX * 1_000))


def limited_to(limits: ConnectionLimits, unreadable: SparingLog) -> type[asyncio.Protocol]:
    """The protocol for a server of at most so many connections."""
    attributes: dict[str, Any] = {"limits": limits, "unreadable": unreadable}
    return cast("type[asyncio.Protocol]", type("LimitedHttpProtocol", (GuardedHttpProtocol,), attributes))
