"""Follows the journal and keeps the projection: several batches at a time, rows first, the cursor last.

It reads the journal, not the leader's stream: a read of the next few numbers costs the database a millisecond and
the leader nothing, and there is no second way in that could differ. It looks every 100 ms, so that the rows of many
batches are written at once, and goes on at once while there is a lot; a read that waits for a batch rings, so nobody
ever waits for the next look.
"""

import asyncio
import gc
import random

from chassis.errors import ErrorKind, ServiceError, Unavailable
from chassis.logs import get_logger
from prometheus_client import Gauge, Histogram
from pymongo.errors import PyMongoError

from trading.domain.state import Limits
from trading.journal.batch import BrokenChain, SealedBatch
from trading.journal.cancellation import end_if_cancelled
from trading.journal.store import Journal, JournalUnreachable
from trading.projector.fold import Fold
from trading.sequencer.memory import Memory
from trading.sequencer.recovery import newest_memory
from trading.sequencer.snapshots import SnapshotStore
from trading.storage.cursors import REBUILDING, Cursor
from trading.storage.projection import Changes, Projection

BATCHES_PER_DRAIN = 64  # more would make readers wait for rows they do not need
BATCHES_PER_LOOK = 8  # near the head; each number that is not there yet costs the database a look-up
BATCHES_PER_READ = 256  # while catching up without writing
PAUSE_SECONDS = 0.1
RETRY_SECONDS = 0.2

CURSOR = Gauge("cryptovault_projection_batch", "The newest batch in the projection")
DRAIN_SECONDS = Histogram("cryptovault_projection_drain_seconds", "Time to write what one drain found")
STALE = Gauge("cryptovault_projection_stale", "1 when the projection stopped because the journal cannot be right")

log = get_logger(__name__)


class RebuildUnderWay(ServiceError):
    """Somebody exchanges the projection for a new one (`cryptovault exchange rebuild`); it takes seconds."""

    kind = ErrorKind.UNAVAILABLE
    reason = "rebuild_under_way"

    def __init__(self) -> None:
        super().__init__("The projection is being exchanged for a new one.")


class Projector:
    """`catch_up` first, then `run` for good."""

    def __init__(self, journal: Journal, projection: Projection, snapshots: SnapshotStore | None = None) -> None:
        self._journal = journal
        self._snapshots = snapshots
        self._projection = projection
        self.fold = Fold()
        self._written = Cursor()
        self._bell = asyncio.Event()
        self._advanced = asyncio.Event()

    @property
    def batch(self) -> int:
        """The newest batch that rows and cursor hold."""
        return self._written.batch

    def ring(self) -> None:
        """Somebody knows that there is more."""
        self._bell.set()

    async def reached(self, batch: int, timeout_seconds: float) -> bool:
        """Waits until the projection holds that batch; False when it takes too long."""
        if self._written.batch >= batch:
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._written.batch < batch:
                    self.ring()
                    await self.advanced()
        except TimeoutError:
            return False
        return True

    async def advanced(self) -> None:
        """Returns at the next move of the cursor."""
        await self._advanced.wait()

    async def catch_up(self) -> None:
        """Folds what is projected already, from the newest good snapshot on, without writing.

        Raises:
            RebuildUnderWay: try again a little later.
            BrokenChain: the cursor stands where the journal is not, or the journal is not the one that was folded.
        """
        self._written = await self._projection.cursor()
        if self._written == REBUILDING:
            raise RebuildUnderWay
        gc.disable()  # the fold makes objects that stay: collecting among them would double its time
        try:
            self.fold = Fold(await self._newest_memory())
            while self.fold.cursor.batch < self._written.batch:
                missing = self._written.batch - self.fold.cursor.batch
                batches = await self._read(min(BATCHES_PER_READ, missing))
                if not batches:
                    self._alarm()
                    raise BrokenChain(f"the cursor is at {self._written.batch}, the journal ends before")
                self._apply(batches, Changes())
            self.fold.forget_closed()
        finally:
            gc.enable()
        gc.freeze()
        if self.fold.cursor != self._written:
            self._alarm()
            raise BrokenChain(f"batch {self._written.batch} is not the one that was projected")
        CURSOR.set(self._written.batch)
        log.info("Projection caught up", event="projection_caught_up", batch=self._written.batch)

    async def run(self) -> None:
        """Raises `BrokenChain` or `UnknownEventType` where the journal cannot be followed, `CursorMoved` where another
        projector is at work.
        """
        limit = BATCHES_PER_DRAIN
        while True:
            end_if_cancelled()
            self._bell.clear()
            batches = await self._read(limit)
            if batches:
                await self._drain(batches)
            if len(batches) < limit:
                await self._pause()
            limit = BATCHES_PER_DRAIN if len(batches) == limit else BATCHES_PER_LOOK

    async def _drain(self, batches: list[SealedBatch]) -> None:
        changes = Changes()
        self._apply(batches, changes)
        self.fold.hand_over(changes)
        with DRAIN_SECONDS.time():
            await self._write(changes)
        self._written = self.fold.cursor
        CURSOR.set(self._written.batch)
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()

    async def _write(self, changes: Changes) -> None:
        while True:
            try:
                await self._projection.write(changes, before=self._written, after=self.fold.cursor)
            except (PyMongoError, Unavailable) as error:
                # Every write is repeatable; the cursor tells whether the last one, though unanswered, was made.
                log.warning("Projection cannot be written", event="projection_unwritable", problem=repr(error))
                await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                if await self._is_written():
                    return
            else:
                return

    async def _is_written(self) -> bool:
        try:
            return await self._projection.cursor() == self.fold.cursor
        except PyMongoError:
            return False

    async def _read(self, limit: int) -> list[SealedBatch]:
        while True:
            try:
                return await self._journal.read_after(self.fold.cursor.batch, limit)
            except JournalUnreachable:
                log.warning("Journal cannot be read", event="journal_unreachable", batch=self.fold.cursor.batch)
                await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _newest_memory(self) -> Memory:
        try:
            return await newest_memory(self._journal, Limits(), self._snapshots, up_to=self._written.batch)
        except BrokenChain:
            self._alarm()
            raise

    def _apply(self, batches: list[SealedBatch], changes: Changes) -> None:
        try:
            for batch in batches:
                self.fold.apply(batch, changes)
        except Exception:
            self._alarm()
            raise

    def _alarm(self) -> None:
        STALE.set(1)
        log.error("Projection stopped", event="projection_stale", batch=self.fold.cursor.batch)

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._bell.wait()
        except TimeoutError:
            pass
