"""What waits to be sent to one client: bounded, whoever reads slowly."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.edge.metrics import SOCKET_MESSAGES

PRICE_UPDATES_WAITING_MAX = 16  # at ten a second, 1.6 s behind: a fresh snapshot is worth more than the past

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Outbox:
    """Prices are conflated: who falls behind gets one snapshot instead. All else is kept, or the client is closed."""

    def __init__(self, send: Send, *, messages_max: int, on_overflow: Callable[[], None]) -> None:
        self._send = send
        self._messages_max = messages_max
        self._on_overflow = on_overflow
        self._waiting: deque[tuple[str, str | Callable[[], str]]] = deque()
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._price_updates = 0
        self._snapshot_waits = False

    def put(self, channel: str, text: str) -> None:
        """Send this after what waits. Calls `on_overflow` where too much waits already."""
        if len(self._waiting) >= self._messages_max:
            self._on_overflow()
            return
        self._waiting.append((channel, text))
        self._something.set()
        if len(self._waiting) * 2 > self._messages_max:
            self._room.clear()

    def put_price_update(self, channel: str, text: str, snapshot: Callable[[], str]) -> None:
        """`snapshot` makes the message that stands for all updates until the moment it is sent."""
        if self._snapshot_waits:
            return
        if self._price_updates >= PRICE_UPDATES_WAITING_MAX:
            self.put_price_snapshot(channel, snapshot)
            return
        self._price_updates += 1
        self._waiting.append((channel, text))
        self._something.set()

    def put_price_snapshot(self, channel: str, snapshot: Callable[[], str]) -> None:
        self.drop_prices(channel)
        self._snapshot_waits = True
        self._waiting.append((channel, snapshot))
        self._something.set()

    def drop_prices(self, channel: str) -> None:
        self._waiting = deque(entry for entry in self._waiting if entry[0] != channel)
        self._price_updates = 0
        self._snapshot_waits = False

    @property
    def has_room(self) -> bool:
        """True while at most half of what may wait does."""
        return self._room.is_set()

    async def room(self, *, seconds_max: float) -> None:
        """Wait until there is room: for whoever has much to send and can wait. Calls `on_overflow` where none comes."""
        try:
            async with asyncio.timeout(seconds_max):
                await self._room.wait()
        except TimeoutError:
            self._on_overflow()
            await self._room.wait()

    async def run(self) -> None:
        """Send for as long as the connection lives."""
        while True:
            while self._waiting:
                channel, content = self._waiting.popleft()
                if callable(content):
                    self._snapshot_waits = False
                    content = content()
                elif channel == "prices":
                    self._price_updates -= 1
                if len(self._waiting) * 2 <= self._messages_max:
                    self._room.set()
                SOCKET_MESSAGES.labels(channel).inc()
                await self._send({"type": "websocket.send", "text": content})
            self._something.clear()
            await self._something.wait()
