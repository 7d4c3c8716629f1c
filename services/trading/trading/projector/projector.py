"""Follows the journal: folds it in memory, where queries see it at once; the rows are written behind (`RowWriter`).

It reads the journal, not the leader's stream: a read of the next few numbers costs the database a millisecond and
the leader nothing, and there is no second way in that could differ. It looks every 100 ms, and goes on at once while
there is a lot; a read that waits for a batch rings, so nobody ever waits for the next look.
"""

import asyncio
import gc
import random

from chassis.errors import ErrorKind, ServiceError
from chassis.logs import get_logger
from prometheus_client import Gauge

from trading.domain.accounts import owner_of_user
from trading.domain.state import Limits, Owner
from trading.journal.batch import BrokenChain, SealedBatch
from trading.journal.cancellation import end_if_cancelled
from trading.journal.store import Journal, JournalUnreachable
from trading.projector.fold import Fold
from trading.projector.row_writer import RowWriter
from trading.sequencer.lasting_memory import BODY_BYTES_BETWEEN, LastingMemory
from trading.sequencer.memory import Memory
from trading.sequencer.recovery import newest_memory
from trading.sequencer.snapshots import SnapshotStore
from trading.storage.projection import Changes, Projection
from trading.storage.unwritten import Unwritten

BATCHES_PER_STEP = 64  # readers wait for a step; one of full batches is a few MB
BATCHES_PER_LOOK = 8  # near the head; each number that is not there yet costs the database a look-up
BATCHES_PER_READ = 256  # while catching up without writing
PAUSE_SECONDS = 0.1
# Between looks, however many reads ring: each costs the journal's server a millisecond, also where it finds little.
RINGS_SHARED_SECONDS = 0.01
RETRY_SECONDS = 0.2

FOLDED = Gauge("cryptovault_projection_folded_batch", "The newest batch that queries see")
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
        self.unwritten = Unwritten()
        self._writer = RowWriter(projection, self.unwritten)
        self.fold = Fold()
        self._lasting_memory = LastingMemory(BODY_BYTES_BETWEEN)
        self._batch = 0
        self._bell = asyncio.Event()
        self._advanced = asyncio.Event()

    @property
    def batch(self) -> int:
        """The newest batch that queries see."""
        return self._batch

    @property
    def stored_batch(self) -> int:
        """The newest batch that rows and cursor hold in the database."""
        return self._writer.cursor.batch

    def owner(self, user_id: str) -> Owner | None:
        """Whose account and open orders are as after the newest batch; None where nothing has happened to that user."""
        return self.fold.state.owners.get(owner_of_user(user_id))

    def ring(self) -> None:
        """Somebody knows that there is more."""
        self._bell.set()

    async def reached(self, batch: int, timeout_seconds: float) -> bool:
        """Waits until queries see that batch; False when it takes too long."""
        if self._batch >= batch:
            return True
        try:
            async with asyncio.timeout(timeout_seconds):
                while self._batch < batch:
                    self.ring()
                    await self.advanced()
        except TimeoutError:
            return False
        return True

    async def stored(self, batch: int, timeout_seconds: float) -> bool:
        """Waits until the collections hold that batch; False when it takes too long."""
        self.ring()
        return await self._writer.stored(batch, timeout_seconds)

    async def advanced(self) -> None:
        """Returns when queries see more."""
        await self._advanced.wait()

    async def catch_up(self) -> None:
        """Folds what is projected already, from the newest good snapshot on, then what was told before it was written:
        nobody is answered from an earlier state than before this start.

        Raises:
            RebuildUnderWay: try again a little later.
            BrokenChain: the cursor stands where the journal is not, or the journal is not the one that was folded.
        """
        written = await self._writer.load()
        if written.is_of_a_rebuild:
            raise RebuildUnderWay
        gc.disable()  # the fold makes objects that stay: collecting among them would double its time
        try:
            self.fold = Fold(await self._newest_memory(written.batch))
            while self.fold.cursor.batch < written.batch:
                missing = written.batch - self.fold.cursor.batch
                batches = await self._read(min(BATCHES_PER_READ, missing))
                if not batches:
                    self._alarm()
                    raise BrokenChain(f"the cursor is at {written.batch}, the journal ends before")
                self._apply(batches, Changes())
            self.fold.forget_closed()
            if self.fold.cursor != written:
                self._alarm()
                raise BrokenChain(f"batch {written.batch} is not the one that was projected")
            gc.freeze()
            await self._catch_up_with_what_was_told()
        finally:
            gc.enable()
        gc.freeze()
        log.info("Projection caught up", event="projection_caught_up", batch=self._batch, written=written.batch)

    async def run(self) -> None:
        """Raises, in a group, `BrokenChain` or `UnknownEventType` where the journal cannot be followed, `CursorMoved`
        where another projector is at work.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._writer.run())

    async def _follow(self) -> None:
        limit = BATCHES_PER_STEP
        while True:
            end_if_cancelled()
            await self._writer.room()
            self._bell.clear()
            batches = await self._read(limit)
            if batches:
                await self._step(batches)
            if len(batches) < limit:
                await self._pause()
            limit = BATCHES_PER_STEP if len(batches) == limit else BATCHES_PER_LOOK

    async def _catch_up_with_what_was_told(self) -> None:
        """Up to the journal's end, or one step beyond what fits unwritten: nobody before us came further than that."""
        self._tell()
        full = False
        while not full and (batches := await self._read(BATCHES_PER_STEP)):
            full = self.unwritten.is_full
            await self._step(batches)

    async def _step(self, batches: list[SealedBatch]) -> None:
        async with self._writer.adding:
            self._apply(batches, self.unwritten.pending)
            self.fold.hand_over(self.unwritten.pending)
            await self._writer.complete()
            self._writer.folded(self.fold.cursor)
        self._tell()
        self._lasting_memory(sum(len(batch.body) for batch in batches))

    def _tell(self) -> None:
        self._batch = self.fold.cursor.batch
        FOLDED.set(self._batch)
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()

    async def _read(self, limit: int) -> list[SealedBatch]:
        while True:
            try:
                return await self._journal.read_after(self.fold.cursor.batch, limit)
            except JournalUnreachable:
                log.warning("Journal cannot be read", event="journal_unreachable", batch=self.fold.cursor.batch)
                await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _newest_memory(self, up_to: int) -> Memory:
        try:
            return await newest_memory(self._journal, Limits(), self._snapshots, up_to=up_to)
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
        await asyncio.sleep(RINGS_SHARED_SECONDS)
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._bell.wait()
        except TimeoutError:
            pass
