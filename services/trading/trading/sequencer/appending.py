"""One append, until its outcome is known: every error but a taken number leaves it open."""

import asyncio
import random
from collections.abc import Callable

from chassis.logs import get_logger
from prometheus_client import Counter

from trading.journal.batch import SealedBatch
from trading.journal.store import AppendOutcomeUnknown, BatchNumberTaken, Journal, JournalUnreachable

_RETRY_SECONDS_FIRST = 0.01
_RETRY_SECONDS_MAX = 0.5  # an election takes seconds; callers past their deadline are told meanwhile

UNKNOWN_APPENDS = Counter("cryptovault_journal_unknown_appends", "Appends whose outcome had to be read back")

log = get_logger(__name__)


async def append_until_known(
    journal: Journal, batch: SealedBatch, while_unknown: Callable[[], None]
) -> SealedBatch | None:
    """None: the batch is durable. Otherwise the foreign batch that has its number, so ours never was and never will be.

    `while_unknown` is called before each further try, so that waiting callers can be told.
    """
    delay = _RETRY_SECONDS_FIRST
    while True:
        try:
            await journal.append(batch)
        except BatchNumberTaken:
            pass
        except AppendOutcomeUnknown as unknown:
            UNKNOWN_APPENDS.inc()
            log.warning(
                "Append without an answer", event="append_outcome_unknown", batch=batch.number, problem=str(unknown)
            )
            while_unknown()
        else:
            return None
        answered, found = await _read(journal, batch.number)
        if answered and found is not None:
            return None if found.digest == batch.digest else found
        # Absent, or nobody answered: insert the same bytes again, the number lets only one of them in.
        while_unknown()
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
        delay = min(2 * delay, _RETRY_SECONDS_MAX)


async def _read(journal: Journal, number: int) -> tuple[bool, SealedBatch | None]:
    try:
        return True, await journal.read(number)
    except JournalUnreachable:
        return False, None
