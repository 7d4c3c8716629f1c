"""What waits to be sent to one client: bounded, whoever reads slowly."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from gateway.edge.metrics import SOCKET_MESSAGES

UPDATES_WAITING_MAX = 16  # at ten a second, 1.6 s behind: a fresh snapshot is worth more than the past

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class _Topic:
    """What waits of one conflated channel, or of one market's."""

    updates: int = 0
    snapshot_waits: bool = False


def channel_of(topic: str) -> str:
    """A topic is a channel, or a channel, a colon and a market."""
    return topic.partition(":")[0]


class Outbox:
    """Public channels are conflated: who falls behind gets one snapshot instead. All else is kept, or the client is
    closed.
    """

    def __init__(self, send: Send, *, messages_max: int, on_overflow: Callable[[], None]) -> None:
        self._send = send
        self._messages_max = messages_max
        self._on_overflow = on_overflow
        self._waiting: deque[tuple[str, str | Callable[[], str]]] = deque()
        self._something = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._topics: dict[str, _Topic] = {}

    def put(self, channel: str, text: str) -> None:
        """Send this after what waits. Calls `on_overflow` where too much waits already."""
        if len(self._waiting) >= self._messages_max:
            self._on_overflow()
            return
        self._waiting.append((channel, text))
        self._something.set()
        if len(self._waiting) * 2 > self._messages_max:
            self._room.clear()

    def put_update(self, topic: str, text: str, snapshot: Callable[[], str]) -> None:
        """`snapshot` makes the message that stands for all updates until the moment it is sent."""
        waiting = self._topics.setdefault(topic, _Topic())
        if waiting.snapshot_waits:
            return
        if waiting.updates >= UPDATES_WAITING_MAX:
            self.put_snapshot(topic, snapshot)
            return
        waiting.updates += 1
        self._waiting.append((topic, text))
        self._something.set()

    def put_snapshot(self, topic: str, snapshot: Callable[[], str]) -> None:
        self.drop(topic)
        self._topics[topic] = _Topic(snapshot_waits=True)
        self._waiting.append((topic, snapshot))
        self._something.set()

    def drop(self, topic: str) -> None:
        """Whatever waits of it is not sent."""
        if self._topics.pop(topic, None) is not None:
            self._waiting = deque(entry for entry in self._waiting if entry[0] != topic)

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
                topic, content = self._waiting.popleft()
                conflated = self._topics.get(topic)
                if callable(content):
                    content = content()
                    if conflated is not None:
                        conflated.snapshot_waits = False
                elif conflated is not None:
                    conflated.updates -= 1
                if len(self._waiting) * 2 <= self._messages_max:
                    self._room.set()
                SOCKET_MESSAGES.labels(channel_of(topic)).inc()
                await self._send({"type": "websocket.send", "text": content})
            self._something.clear()
            await self._something.wait()
