"""Memory from the journal: folds every batch there is."""

import asyncio
import gc
import random

from chassis.logs import get_logger

from trading.domain.state import Limits
from trading.journal.batch import SealedBatch
from trading.journal.cancellation import end_if_cancelled
from trading.journal.store import Journal, JournalUnreachable
from trading.sequencer.memory import Memory

_BATCHES_PER_READ = 256  # at most 1 MiB each, a few KiB as a rule
_RETRY_SECONDS_MAX = 1.0

log = get_logger(__name__)


async def recover(journal: Journal, limits: Limits) -> Memory:
    """The state at the journal's end. Waits for the database for as long as it takes.

    Raises `BrokenChain` or `UnknownEventType`: somebody must look.
    """
    memory = Memory(limits)
    # The fold makes objects that stay; collecting among them again and again would double its time.
    gc.disable()
    try:
        await catch_up(journal, memory)
    finally:
        gc.enable()
    gc.freeze()
    log.info("Journal folded", event="journal_folded", batch=memory.number, epoch=memory.epoch)
    return memory


async def catch_up(journal: Journal, memory: Memory) -> None:
    """Folds what the journal holds more. Raises as `recover` does."""
    while batches := await _read(journal, memory.number):
        for batch in batches:
            memory.fold(batch)
        end_if_cancelled()


async def _read(journal: Journal, after: int) -> list[SealedBatch]:
    delay = 0.02
    while True:
        try:
            return await journal.read_after(after, _BATCHES_PER_READ)
        except JournalUnreachable:
            log.warning("Journal cannot be read", event="journal_unreachable", batch=after)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, _RETRY_SECONDS_MAX)
