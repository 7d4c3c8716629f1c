"""How a new leader makes itself known: by taking the journal's next number with an empty batch of a higher epoch."""

from collections.abc import Callable

from trading.domain.commands import StartBatch
from trading.domain.decide import decide
from trading.domain.outcomes import Repeat
from trading.journal.batch import SealedBatch, seal
from trading.journal.codec import encode_body, encode_entry
from trading.journal.store import Journal
from trading.sequencer.appending import append_until_known
from trading.sequencer.lease import LeaseLost
from trading.sequencer.memory import Memory


async def take_next_number(
    journal: Journal, memory: Memory, *, writer: str, now: Callable[[], int], may_lead: Callable[[], bool]
) -> int:
    """From its return on any older writer is fenced off: an append of its, on its way for however long, finds its
    number taken, or was folded here before. The new epoch; the memory stands at the batch.

    Raises `LeaseLost` where somebody else should lead, `BrokenChain` or `UnknownEventType` as folding does.
    """
    while True:
        if not may_lead():
            raise LeaseLost
        sealed = _empty_batch(memory, writer, now())
        found = await append_until_known(journal, sealed, lambda: None)
        # Memory was not touched before, so a batch that came first is folded like any other, and the next number tried.
        memory.fold(sealed if found is None else found)
        if found is None:
            return sealed.epoch


def _empty_batch(memory: Memory, writer: str, now_milliseconds: int) -> SealedBatch:
    start = StartBatch(memory.number + 1, max(memory.state.batch_milliseconds, now_milliseconds))
    events = decide(memory.state, start)
    if isinstance(events, Repeat):
        raise AssertionError("a batch's start carries no key")  # noqa: TRY004 - no caller's type is at fault
    return seal(
        number=start.number,
        epoch=memory.epoch + 1,
        writer=writer,
        time_milliseconds=start.time_milliseconds,
        users=(),
        body=encode_body([encode_entry(start, events)], []),
        previous=memory.digest,
    )
