"""Writes what the fold has done, a moment later and many batches at once. Nobody waits for it but who reads the
collections themselves.
"""

import asyncio
import random

from chassis.errors import Unavailable
from chassis.logs import get_logger
from prometheus_client import Gauge, Histogram
from pymongo.errors import PyMongoError

from trading.journal.cancellation import end_if_cancelled
from trading.storage.cursors import Cursor
from trading.storage.projection import Projection
from trading.storage.unwritten import Unwritten

# A write is a handful of commits, however few its rows are; and a row that changes again meanwhile is written once.
PAUSE_SECONDS = 0.2
RETRY_SECONDS = 0.2

CURSOR = Gauge("cryptovault_projection_batch", "The newest batch in the projection's collections")
UNWRITTEN = Gauge("cryptovault_projection_unwritten_rows", "Rows that the fold has and the collections do not, yet")
WRITE_SECONDS = Histogram("cryptovault_projection_write_seconds", "Time of one write of what the fold did")

log = get_logger(__name__)


class RowWriter:
    """`load` first, then `run` for good. The fold holds `adding` while it adds to the unwritten rows and tells how far
    it has come with them: what is written with a cursor is all that happened up to there.
    """

    def __init__(self, projection: Projection, unwritten: Unwritten) -> None:
        self._projection = projection
        self._unwritten = unwritten
        self._folded = Cursor()
        self.cursor = Cursor()  # what the collections hold
        self.adding = asyncio.Lock()
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._moved = asyncio.Event()

    async def load(self) -> Cursor:
        """Where whoever wrote before has stopped."""
        await self._projection.take_over()
        self.cursor = self._folded = await self._projection.cursor()
        CURSOR.set(self.cursor.batch)
        return self.cursor

    def folded(self, cursor: Cursor) -> None:
        """The unwritten rows are what happened up to there."""
        self._folded = cursor
        self._unwritten.folded(cursor)
        UNWRITTEN.set(self._unwritten.row_count)
        self._news.set()
        if self._unwritten.has_portion:
            self._hurry.set()

    async def complete(self) -> None:
        """Adds to rows that were begun before the fold what is only in the collections. Waits for the database."""
        while self._unwritten.pending.incomplete:
            try:
                await self._projection.complete(self._unwritten.pending)
            except PyMongoError as error:
                await self._rest(error)

    async def room(self) -> None:
        """Returns when there is room for more unwritten rows."""
        while self._unwritten.is_full:
            self._hurry.set()
            await self._moved.wait()

    async def stored(self, batch: int, timeout_seconds: float) -> bool:
        """Waits until the collections hold that batch; False when it takes too long."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.cursor.batch < batch:
                    self._hurry.set()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Raises `CursorMoved` where another projector is at work."""
        while True:
            end_if_cancelled()
            await self._news.wait()
            if not self._unwritten.has_portion:
                await self._pause()
            self._hurry.clear()
            await self._write()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(PAUSE_SECONDS):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _write(self) -> None:
        async with self.adding:
            portion = self._unwritten.take_oldest(self._folded)
            changes, folded = portion.changes, portion.cursor
            if folded == self._folded:
                self._news.clear()
        with WRITE_SECONDS.time():
            while True:
                try:
                    await self._projection.write(changes, before=self.cursor, after=folded)
                    break
                except (PyMongoError, Unavailable) as error:
                    # Every write is repeatable but the cursor's: whether that, though unanswered, was made it tells.
                    await self._rest(error)
                    if await self._stored_cursor() == folded:
                        break
        self._unwritten.written()
        self.cursor = folded
        CURSOR.set(folded.batch)
        UNWRITTEN.set(self._unwritten.row_count)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _rest(self, error: Exception) -> None:
        log.warning("Projection out of reach", event="projection_unreachable", problem=repr(error))
        await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _stored_cursor(self) -> Cursor:
        """Waits for the database."""
        while True:
            try:
                return await self._projection.cursor()
            except PyMongoError as error:
                await self._rest(error)
