"""Tells listeners of each durable batch, after its answers have left.

At once would be before them: an answer leaves at the event loop's next turn, and what listeners do with a batch (events
for gateways, metrics) takes as long as deciding it. They work while the next append is on its way and nothing else can
be done; where none follows, a moment later.
"""

import asyncio
from collections import deque

from trading.sequencer.open_batch import FinishedBatch
from trading.sequencer.ports import BatchListener

AFTER_SECONDS = 0.005  # longer than a client that has its answer takes to have its next order on the way


class Announcements:
    """Every batch to every listener, in order. After a listener has failed nothing more is told, and `announce` raises
    what it raised: who missed a batch would be wrong about all later ones.
    """

    def __init__(self) -> None:
        self._listeners: list[BatchListener] = []
        self._waiting: deque[FinishedBatch] = deque()
        self._failure: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None

    def on_batch(self, listener: BatchListener) -> None:
        self._listeners.append(listener)

    def announce(self, batch: FinishedBatch) -> None:
        """Returns before anybody has heard."""
        if self._failure is not None:
            raise self._failure
        self._waiting.append(batch)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AFTER_SECONDS, self.tell)

    def tell(self) -> None:
        """Whatever waits, now. What a listener raises is kept for `announce`."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        try:
            while self._waiting and self._failure is None:
                batch = self._waiting[0]
                for listener in self._listeners:
                    listener(batch)
                self._waiting.popleft()
        except Exception as error:  # noqa: BLE001 - raised where somebody can act on it
            self._failure = error
