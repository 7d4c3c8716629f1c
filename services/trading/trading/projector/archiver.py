"""Moves old batches out of the journal into volumes, and leaves stubs."""

import asyncio
from datetime import timedelta

from chassis.clock import Clock
from chassis.crash_points import crash_point
from chassis.logs import get_logger
from prometheus_client import Gauge
from pymongo.errors import PyMongoError

from trading.domain.moments import milliseconds_of
from trading.journal.batch import SealedBatch
from trading.journal.store import JournalUnreachable
from trading.projector.projector import Projector
from trading.sequencer.snapshots import SnapshotsUnreachable
from trading.storage.archive import VOLUME_BATCHES_MAX, VOLUME_BYTES
from trading.storage.journal import MongoJournal
from trading.storage.snapshots import MongoSnapshots

INTERVAL_SECONDS = 60.0
_BATCHES_PER_READ = 64
_STUBS_PER_WRITE = 32  # on the journal's server, where orders wait for the next append
_PAUSE_SECONDS = 0.05  # between those

ARCHIVED_BATCH = Gauge("cryptovault_journal_archived_batch", "The newest batch in the archive")

log = get_logger(__name__)


class Archiver:
    """`run` for good. One volume after the other: written and read back first, then its batches become stubs."""

    def __init__(
        self,
        *,
        journal: MongoJournal,
        projector: Projector,
        snapshots: MongoSnapshots,
        clock: Clock,
        retention: timedelta,
    ) -> None:
        self._journal = journal
        self._projector = projector
        self._snapshots = snapshots
        self._clock = clock
        self._retention = retention

    async def run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.archive()
            except (PyMongoError, JournalUnreachable, SnapshotsUnreachable) as error:
                log.warning("Journal not archived", event="archive_failed", problem=repr(error))

    async def archive(self) -> int:
        """Everything that is old enough and behind every kept snapshot; how many batches that were. Again with the same
        end, wherever it was broken off.
        """
        newest = await self._journal.archive.newest()
        after = 0
        if newest is not None:
            # A crash may have come between the volume and its stubs.
            first, after = newest
            await self._leave_stubs(range(first, after + 1), first)
        limit = await self._limit()
        archived = 0
        while volume := await self._next_volume(after, limit):
            await self._journal.archive.write([(batch.number, batch.body) for batch in volume])
            crash_point("archive_before_stubs")
            first, after = volume[0].number, volume[-1].number
            await self._leave_stubs(range(first, after + 1), first)
            archived += len(volume)
            ARCHIVED_BATCH.set(after)
            log.info("Journal archived", event="journal_archived", first=first, last=after)
        return archived

    async def _limit(self) -> int:
        """Batches before this one are behind every kept snapshot and in the projection."""
        manifests = await self._snapshots.manifests()
        return min([*(manifest.batch for manifest in manifests), self._projector.stored_batch]) if manifests else 0

    async def _next_volume(self, after: int, limit: int) -> list[SealedBatch]:
        """A full one, since small ones would pile up by the minute; empty where too little is old enough."""
        oldest_kept = milliseconds_of(self._clock.now() - self._retention)
        volume: list[SealedBatch] = []
        size = 0
        while batches := await self._journal.read_after(after + len(volume), _BATCHES_PER_READ):
            for batch in batches:
                if batch.number >= limit or batch.time_milliseconds > oldest_kept:
                    return []
                volume.append(batch)
                size += len(batch.body)
                if size >= VOLUME_BYTES or len(volume) == VOLUME_BATCHES_MAX:
                    return volume
        return []

    async def _leave_stubs(self, numbers: range, volume: int) -> None:
        for start in range(0, len(numbers), _STUBS_PER_WRITE):
            await self._journal.leave_stubs(numbers[start : start + _STUBS_PER_WRITE], volume=volume)
            await asyncio.sleep(_PAUSE_SECONDS)
