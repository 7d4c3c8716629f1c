"""The private channels: live from the exchange's event stream, the missed ones from its log, each once, in order."""

import asyncio
from collections.abc import Callable

from chassis.errors import RemoteBugError, RemoteError
from chassis.identity import Caller, use_caller
from chassis.logs import get_logger
from cryptovault.trading.v1 import trading_pb2 as pb

from gateway.clients.private_events import PrivateEvents
from gateway.errors import no_such_event_yet
from gateway.websocket.catch_up import CatchUp
from gateway.websocket.messages import channel_message, event_message
from gateway.websocket.outbox import Outbox

SLOW_SECONDS_MAX = 10.0  # who reads nothing for so long is closed; the cursor is good for the next connection
_RETRY_SECONDS = 0.5
# While nobody says that new events will reach us, the log is read this often.
_LOOK_AGAIN_SECONDS = 2.0

log = get_logger(__name__)


class PrivateFeeds:
    def __init__(self, events: PrivateEvents, catch_up: CatchUp) -> None:
        self._events = events
        self._catch_up = catch_up

    async def open(
        self, channel: str, *, caller: Caller, outbox: Outbox, after: int | None, now: Callable[[], str]
    ) -> "PrivateFeed":
        """Begin with a snapshot, or right after the event `after`. PublicError 400 where that event does not exist yet.

        Errors as of a call to trading.
        """
        feed = PrivateFeed(channel, caller=caller, outbox=outbox, events=self._events, catch_up=self._catch_up)
        # Before the question: what happens meanwhile is not missed.
        self._events.listen(caller.required_user(), feed)
        try:
            with use_caller(caller):
                feed.start(*await self._begin(channel, outbox, after, now))
        except BaseException:
            self._events.forget(caller.required_user(), feed)
            raise
        return feed

    async def _begin(
        self, channel: str, outbox: Outbox, after: int | None, now: Callable[[], str]
    ) -> tuple[int, int, int]:
        """The sequence after which events follow, the newest there was when asked, and the batch of that one."""
        if after is None:
            beginning = await self._catch_up.beginning(channel)
            text = channel_message(channel, seq=beginning.sequence, kind="snapshot", time=now(), data=beginning.data)
            outbox.put(channel, text)
            return beginning.sequence, beginning.sequence, beginning.batch
        newest, batch = await self._catch_up.newest()
        if after > newest:
            raise no_such_event_yet(newest=newest)
        return after, newest, batch


class PrivateFeed:
    """One channel of one connection. It is live while it has everything; a gap sends it back to the log."""

    def __init__(
        self, channel: str, *, caller: Caller, outbox: Outbox, events: PrivateEvents, catch_up: CatchUp
    ) -> None:
        self._channel = channel
        self._caller = caller
        self._outbox = outbox
        self._events = events
        self._catch_up = catch_up
        self._position = 0
        # The newest event known of, delivered or not.
        self._head = 0
        self._head_batch = 0
        self._live = False
        # Something may have been missed that no live event will tell of.
        self._suspect = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, position: int, newest: int, newest_batch: int) -> None:
        """`newest` was true while this feed listened already, so where nothing is older than the stream it is live."""
        self._position = position
        self._expect(newest, newest_batch)
        complete = position == newest and self._head <= position
        self._live = complete and self._events.watching and not self._suspect
        self._task = asyncio.create_task(self._run(), name=f"feed-{self._channel}")

    def stop(self) -> None:
        self._events.forget(self._caller.required_user(), self)
        if self._task is not None:
            self._task.cancel()

    def take(self, event: pb.UserEvent) -> None:
        self._expect(event.sequence, event.batch)
        # Where much waits already, the log keeps the rest: a burst, or a slow reader, is not held in memory.
        if self._live and event.sequence == self._position + 1 and self._outbox.has_room:
            self._deliver(event)
        elif event.sequence > self._position:
            self._live = False
            self._wake.set()

    def look_again(self) -> None:
        self._suspect = True
        self._live = False
        self._wake.set()

    async def _run(self) -> None:
        with use_caller(self._caller):
            while True:
                if self._live:
                    await self._wait()
                suspect, self._suspect = self._suspect, False
                try:
                    if suspect:
                        # The log may lag behind what was missed, and would look complete without knowing how far.
                        self._expect(*await self._catch_up.newest())
                    await self._read_missed()
                except (RemoteError, RemoteBugError) as error:
                    log.warning("Private events cannot be read", event="catch_up_failed", problem=str(error))
                    self._suspect = self._suspect or suspect
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                await self._wait()

    def _expect(self, sequence: int, batch: int) -> None:
        if sequence > self._head:
            self._head, self._head_batch = sequence, batch

    async def _read_missed(self) -> None:
        """Read the log until nothing is missing; live from then on."""
        more = True
        while more or self._position < self._head:
            events, more = await self._catch_up.events(after=self._position, at_least_batch=self._head_batch)
            before = self._position
            for event in events:
                await self._outbox.room(seconds_max=SLOW_SECONDS_MAX)
                if event.sequence == self._position + 1:
                    self._deliver(event)
            if self._position == before and (more or before < self._head):
                # The log lags behind the stream for longer than it waits for itself.
                await asyncio.sleep(_RETRY_SECONDS)
        # Nothing was awaited since the last event was compared: no event can have slipped in between.
        self._wake.clear()
        self._live = self._events.watching and not self._suspect

    async def _wait(self) -> None:
        if self._suspect:
            return
        try:
            async with asyncio.timeout(None if self._live else _LOOK_AGAIN_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    def _deliver(self, event: pb.UserEvent) -> None:
        self._position = event.sequence
        self._outbox.put(self._channel, event_message(self._channel, event))
