"""uvicorn's WebSocket connection, bounded: stock, pings that come faster than their pongs are read fill our memory, and
tiny frames all our time.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from gateway.admission.limits import LocalLimits
from gateway.edge.metrics import SOCKETS_CLOSED

FRAMES_PER_MINUTE = 600  # twice the messages: pings and pongs beside them, or each message in two parts
CLOSE_SECONDS_MAX = 5.0  # for what was written last to be read
_PIECE_BYTES = 1_024  # at most 170 frames, read before they are counted
_TOO_MANY = (4429, "too many messages")


class GuardedSocketProtocol(WebSocketsSansIOProtocol):
    """Counts frames of every kind, those that no application hears of too, and waits for nobody to close."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = LocalLimits(keys_max=1)
        self._abort_timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # The head, which comes first and by itself, is no frame: its size was judged.
        size = _PIECE_BYTES if self.handshake_initiated else len(data)
        for start in range(0, len(data), size):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + size])

    def handle_events(self) -> None:
        if self.handshake_initiated and not all(self._may_come() for _ in self.conn.events):
            SOCKETS_CLOSED.labels(str(_TOO_MANY[0])).inc()
            self.conn.fail(*_TOO_MANY)
            self.handle_parser_exception()
            return
        super().handle_events()

    def send_receive_event_to_app(self) -> None:
        if not self.close_sent and self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            # uvicorn would log what anybody may send as an error of ours, with its traceback.
            SOCKETS_CLOSED.labels(str(CloseCode.INVALID_DATA.value)).inc()
            self.conn.fail(CloseCode.INVALID_DATA)
            self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    async def run_asgi(self) -> None:
        await super().run_asgi()
        # It is counted for nobody from here on. What waits to be read would keep it open.
        if not self.disconnected:
            self._abort_timer = self.loop.call_later(CLOSE_SECONDS_MAX, self.transport.abort)

    def _may_come(self) -> bool:
        now = int(self.loop.time() * 1_000_000)
        return self._limits.take("", limit=FRAMES_PER_MINUTE, now_microseconds=now).allowed


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
