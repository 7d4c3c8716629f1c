"""Takes snapshots on a schedule, so that no start has to fold from the beginning."""

import asyncio

from chassis.clock import Clock
from chassis.logs import get_logger
from prometheus_client import Gauge

from trading.domain.snapshot import begin_snapshot
from trading.projector.projector import Projector
from trading.sequencer.snapshots import SnapshotsUnreachable, make_snapshot
from trading.storage.snapshots import MongoSnapshots

BATCHES_BETWEEN = 10_000  # folding that many takes seconds
SECONDS_BETWEEN = 600.0  # of a slow market; nothing is taken twice of the same batch
_LOOK_SECONDS = 1.0

SNAPSHOT_BATCH = Gauge("cryptovault_snapshot_batch", "The batch of the newest snapshot")

log = get_logger(__name__)


class SnapshotTaker:
    """`run` for good. The fold stands at a batch's end whenever the event loop is free, so a snapshot is one cut."""

    def __init__(self, projector: Projector, snapshots: MongoSnapshots, clock: Clock) -> None:
        self._projector = projector
        self._snapshots = snapshots
        self._clock = clock
        self._taken = 0
        self._taken_at = clock.monotonic()

    async def run(self) -> None:
        self._taken = self._projector.fold.cursor.batch
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._is_due():
                await self.take()

    async def take(self) -> None:
        """A snapshot of now, stored; the oldest ones go. None of a fold that does not add up: leaders start from it."""
        memory = self._projector.fold.memory
        violations = self._projector.fold.violations()
        if violations:
            self._taken, self._taken_at = memory.number, self._clock.monotonic()
            log.error("Snapshot refused", event="snapshot_refused", batch=memory.number, problem=str(violations[0]))
            return
        # The fold has to wait for this and for the check above, of the same state: some 0.1 s each with 100,000 open
        # orders.
        finish, filter_content = begin_snapshot(memory.state), memory.evicted_keys.content
        batch, digest, epoch = memory.number, memory.digest, memory.epoch
        snapshot = await asyncio.to_thread(
            lambda: make_snapshot(finish(), filter_content, batch=batch, digest=digest, epoch=epoch)
        )
        self._taken, self._taken_at = batch, self._clock.monotonic()
        try:
            await self._snapshots.write(snapshot)
            await self._snapshots.prune()
        except SnapshotsUnreachable:
            # The next one comes by itself; until then there is the last one.
            log.warning("Snapshot not stored", event="snapshot_unwritable", batch=batch)
            return
        SNAPSHOT_BATCH.set(batch)
        log.info("Snapshot taken", event="snapshot_taken", batch=batch, chunks=len(snapshot.chunks))

    def _is_due(self) -> bool:
        grown = self._projector.fold.cursor.batch - self._taken
        waited = self._clock.monotonic() - self._taken_at
        return grown >= BATCHES_BETWEEN or (grown > 0 and waited >= SECONDS_BETWEEN)
