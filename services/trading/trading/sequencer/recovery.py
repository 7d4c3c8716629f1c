"""Memory from the newest good snapshot and the journal after it."""

import asyncio
import gc
import random

from chassis.logs import get_logger
from prometheus_client import Counter

from trading.domain.state import Limits
from trading.journal.batch import BrokenChain, SealedBatch
from trading.journal.cancellation import end_if_cancelled
from trading.journal.store import Journal, JournalUnreachable
from trading.sequencer.memory import Memory
from trading.sequencer.snapshots import DamagedSnapshot, Manifest, SnapshotStore, SnapshotsUnreachable, restore

_BATCHES_PER_READ = 256  # at most 1 MiB each, a few KiB as a rule
_RETRY_SECONDS_MAX = 1.0

SNAPSHOTS_PASSED_OVER = Counter("cryptovault_snapshots_passed_over", "Snapshots that were not what had been written")

log = get_logger(__name__)


async def recover(journal: Journal, limits: Limits, snapshots: SnapshotStore | None = None) -> Memory:
    """The state at the journal's end, from the newest good snapshot on. Waits for the database for as long as it takes.

    Raises `BrokenChain` or `UnknownEventType`: somebody must look.
    """
    # The fold makes objects that stay; collecting among them again and again would double its time.
    gc.disable()
    try:
        memory = await newest_memory(journal, limits, snapshots)
        await catch_up(journal, memory)
    finally:
        gc.enable()
    gc.freeze()
    log.info("Journal folded", event="journal_folded", batch=memory.number, epoch=memory.epoch)
    return memory


async def newest_memory(
    journal: Journal, limits: Limits, snapshots: SnapshotStore | None, *, up_to: int | None = None
) -> Memory:
    """As the newest good snapshot has it (of those up to that batch); empty where there is none.

    Raises `BrokenChain` where the journal is not the one that the snapshot was taken of.
    """
    if snapshots is not None:
        try:
            for manifest in await snapshots.manifests():
                if up_to is not None and manifest.batch > up_to:
                    continue
                memory = await _restored(manifest, limits, snapshots)
                if memory is not None:
                    await _check_place(journal, memory)
                    return memory
        except SnapshotsUnreachable:
            log.warning("Snapshots cannot be read", event="snapshots_unreachable")
    return Memory(limits)


async def _restored(manifest: Manifest, limits: Limits, snapshots: SnapshotStore) -> Memory | None:
    try:
        memory = Memory(limits, restore(manifest, await snapshots.chunks(manifest)))
    except DamagedSnapshot as damage:
        SNAPSHOTS_PASSED_OVER.inc()
        log.error("Snapshot passed over", event="snapshot_damaged", batch=manifest.batch, problem=str(damage))  # noqa: TRY400 - the sentence says all
        return None
    log.info("Snapshot restored", event="snapshot_restored", batch=manifest.batch)
    return memory


async def _check_place(journal: Journal, memory: Memory) -> None:
    """A good snapshot of a batch that the journal does not have, or has otherwise: the journal lost what people were
    told. Somebody restored too little, or the wrong one.
    """
    batches = await _read(journal, memory.number - 1, 1)
    if not batches or batches[0].digest != memory.digest:
        raise BrokenChain(f"the journal does not hold batch {memory.number}, of which there is a snapshot")


async def catch_up(journal: Journal, memory: Memory) -> None:
    """Folds what the journal holds more. Raises as `recover` does."""
    while batches := await _read(journal, memory.number, _BATCHES_PER_READ):
        for batch in batches:
            memory.fold(batch)
        end_if_cancelled()


async def _read(journal: Journal, after: int, limit: int) -> list[SealedBatch]:
    delay = 0.02
    while True:
        try:
            return await journal.read_after(after, limit)
        except JournalUnreachable:
            log.warning("Journal cannot be read", event="journal_unreachable", batch=after)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, _RETRY_SECONDS_MAX)
