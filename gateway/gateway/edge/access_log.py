"""One JSON line per request, in the form of every other log line of ours, at a tenth of the cost."""

import asyncio
import sys
import time
from typing import TextIO

import orjson

from gateway.edge.facts import RequestFacts
from gateway.views.times import unix_time_text

FLUSH_SECONDS = 0.1
_LINES_MAX = 256  # about 100 kB; a busy gateway flushes by number, an idle one by time
_PATH_LENGTH_MAX = 200


class AccessLog:
    """Lines gather for a moment and go out together: a system call per request costs as much as the line itself.

    A process that is killed loses the last moment of them; every line holds its own time.
    """

    def __init__(self, *, enabled: bool, stream: TextIO | None = None) -> None:
        self._enabled = enabled
        self._stream = stream
        self._lines: list[bytes] = []

    def add(self, facts: RequestFacts, *, method: str, path: str, status: int, seconds: float) -> None:
        if not self._enabled:
            return
        self._lines.append(
            orjson.dumps(
                {
                    "message": "Request answered",
                    "event": "request_answered",
                    "level": "INFO",
                    "logger": "gateway.access",
                    "timestamp": unix_time_text(time.time()),
                    "service": "gateway",
                    "request_id": facts.request_id,
                    "user_id": facts.user_id,
                    "duration_ms": round(seconds * 1000, 3),
                    "method": method,
                    "route": facts.route,
                    "path": path[:_PATH_LENGTH_MAX],
                    "status": status,
                    "address": facts.address,
                },
                default=str,
            )
        )
        if len(self._lines) >= _LINES_MAX:
            self.flush()

    async def run(self) -> None:
        """Flush for as long as the gateway lives, and once more at its end."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                self.flush()
        finally:
            self.flush()

    def flush(self) -> None:
        if not self._lines:
            return
        text = b"\n".join(self._lines).decode() + "\n"
        self._lines.clear()
        # Looked up now: whoever replaces the stream (a test, a supervisor) gets the lines.
        stream = self._stream or sys.stdout
        stream.write(text)
        stream.flush()
