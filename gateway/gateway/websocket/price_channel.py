"""The channel `prices`: one message for everybody at one cadence, numbered without gaps."""

import asyncio

from chassis.clock import Clock

from gateway.prices.board import PriceBoard
from gateway.views.times import datetime_text
from gateway.websocket.messages import PRICES, channel_message
from gateway.websocket.outbox import Outbox


class PriceChannel:
    """A change goes out at once, the next not before the cadence has passed: what changes meanwhile is conflated.

    Numbers are given after that, so they have no gaps; only a snapshot may jump.
    """

    def __init__(self, board: PriceBoard, clock: Clock, *, cadence_seconds: float) -> None:
        self._board = board
        self._clock = clock
        self._cadence_seconds = cadence_seconds
        self._sequence = 0
        self._subscribers: set[Outbox] = set()
        self._changed = asyncio.Event()
        board.on_change(self._changed.set)

    def subscribe(self, outbox: Outbox) -> None:
        """A snapshot now, updates from then on."""
        self._subscribers.add(outbox)
        outbox.put_snapshot(PRICES, self._snapshot)

    def unsubscribe(self, outbox: Outbox) -> None:
        self._subscribers.discard(outbox)
        outbox.drop(PRICES)

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self.flush()
            await asyncio.sleep(self._cadence_seconds)

    def flush(self) -> None:
        """Send what has changed since the last time, where something has."""
        changed = self._board.take_changed()
        if not changed:
            return
        self._sequence += 1
        if not self._subscribers:
            return
        text = channel_message(PRICES, seq=self._sequence, kind="update", time=self._now(), data=changed)
        for outbox in self._subscribers:
            outbox.put_update(PRICES, text, self._snapshot)

    def _snapshot(self) -> str:
        data = self._board.prices()
        return channel_message(PRICES, seq=self._sequence, kind="snapshot", time=self._now(), data=data)

    def _now(self) -> str:
        return datetime_text(self._clock.now())
