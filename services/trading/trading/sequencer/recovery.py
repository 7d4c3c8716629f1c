"""Memory from the journal: folds every batch there is."""

import asyncio
import gc
import random

from chassis.logs import get_logger

from trading.domain.state import Limits
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
        while await _fold_some(journal, memory):
            end_if_cancelled()
    finally:
        gc.enable()
    gc.freeze()
    log.info("Journal folded", event="journal_folded", batch=memory.number, epoch=memory.epoch)
    return memory


async def _fold_some(journal: Journal, memory: Memory) -> bool:
    delay = 0.02
    while True:
        try:
            batches = await journal.read_after(memory.number, _BATCHES_PER_READ)
            break
        except JournalUnreachable:
            log.warning("Journal cannot be read", event="journal_unreachable", batch=memory.number)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            delay = min(2 * delay, _RETRY_SECONDS_MAX)
    for batch in batches:
        memory.fold(batch)
    return bool(batches)
