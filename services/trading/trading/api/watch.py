"""WatchEvents: what happened, to every gateway, as it becomes durable."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from chassis.errors import ErrorKind, ServiceError
from chassis.logs import get_logger
from cryptovault.trading.v1 import trading_pb2
from prometheus_client import Gauge

from trading.api.messages import public_trades, user_event_message
from trading.domain.state import ExchangeState
from trading.journal.history import user_steps
from trading.sequencer.open_batch import FinishedBatch

BEAT_SECONDS = 1.0  # at least as often a watcher hears that the leader lives, so that silence says that it does not
BUFFERED_BATCHES_MAX = 1_024  # some seconds of full load; who is further behind reads the log instead

WATCHERS = Gauge("cryptovault_event_watchers", "Open WatchEvents streams")

log = get_logger(__name__)


class WatcherTooSlow(ServiceError):
    """The watcher did not keep up. It opens again and reads what it missed from the log."""

    kind = ErrorKind.EXHAUSTED
    reason = "watcher_too_slow"

    def __init__(self) -> None:
        super().__init__("This watcher does not keep up; read the log and watch again.")


class Watchers:
    """Builds each batch's message once, and only where somebody watches."""

    def __init__(self, state: Callable[[], ExchangeState], settled: Callable[[], Awaitable[None]]) -> None:
        """`settled` raises `NotLeading` where this process does not lead."""
        self._state = state
        self._settled = settled
        self._watchers: set[_Watcher] = set()

    def publish(self, batch: FinishedBatch) -> None:
        """A durable batch. Never waits for a watcher."""
        if not self._watchers:
            return
        message = watch_message(batch, self._state())
        if not message.user_events and not message.trades:
            return
        for watcher in list(self._watchers):
            watcher.offer(message)

    async def watch(self) -> AsyncIterator[trading_pb2.WatchEventsResponse]:
        """What happens from now on, after an empty message that says so; others follow while nothing happens.

        Raises `WatcherTooSlow` and `NotLeading`.
        """
        await self._settled()
        watcher = _Watcher()
        self._watchers.add(watcher)
        WATCHERS.inc()
        try:
            while True:
                yield self._beat()
                async for message in watcher.messages():
                    yield message
                await self._settled()
        finally:
            self._watchers.discard(watcher)
            WATCHERS.dec()

    def _beat(self) -> trading_pb2.WatchEventsResponse:
        return trading_pb2.WatchEventsResponse(batch=self._state().batch_number)


def watch_message(batch: FinishedBatch, state: ExchangeState) -> trading_pb2.WatchEventsResponse:
    steps = user_steps(batch.events, accounts=batch.accounts, order_after=batch.orders.__getitem__)
    return trading_pb2.WatchEventsResponse(
        batch=batch.number,
        user_events=[
            user_event_message(step, state, batch=batch.number, time_milliseconds=batch.time_milliseconds)
            for step in steps
        ],
        trades=public_trades(batch.events, state, batch.time_milliseconds),
    )


class _Watcher:
    def __init__(self) -> None:
        self._buffer: deque[trading_pb2.WatchEventsResponse] = deque()
        self._changed = asyncio.Event()
        self._too_slow = False

    def offer(self, message: trading_pb2.WatchEventsResponse) -> None:
        if len(self._buffer) >= BUFFERED_BATCHES_MAX:
            self._too_slow = True
        else:
            self._buffer.append(message)
        self._changed.set()

    async def messages(self) -> AsyncIterator[trading_pb2.WatchEventsResponse]:
        """Ends when there was none for a while."""
        while True:
            while self._buffer:
                yield self._buffer.popleft()
            if self._too_slow:
                raise WatcherTooSlow
            self._changed.clear()
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                return
