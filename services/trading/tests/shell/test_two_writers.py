"""Two that would write the journal: a foreign batch deposes, or is folded; who started later leads."""

import pytest
from shell_factory import (
    UNIT,
    MemoryJournal,
    buy_for,
    replayed_hash,
    running_shell,
)
from trading.domain.commands import StartBatch
from trading.domain.events import BatchStarted
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.journal.batch import SealedBatch, seal
from trading.journal.codec import encode_body, encode_entry
from trading.sequencer.breakdown import Deposed
from trading.sequencer.errors import NotLeading
from trading.sequencer.memory import Memory

COST = 100_10 * UNIT // 100  # 100.10 USD


def foreign_batch(after: SealedBatch, *, epoch: int) -> SealedBatch:
    """An empty batch of another writer on top of `after`."""
    number = after.number + 1
    started = BatchStarted(number, after.time_milliseconds, 0)
    body = encode_body([encode_entry(StartBatch(number, after.time_milliseconds), [started])], [])
    return seal(
        number=number, epoch=epoch, writer="other", time_milliseconds=after.time_milliseconds, users=(),
        body=body, previous=after.digest,
    )  # fmt: skip


async def test_a_foreign_batch_with_a_higher_epoch_deposes() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)

        async def taken(batch: SealedBatch) -> None:
            journal.store(foreign_batch(journal.batches[batch.number - 1], epoch=batch.epoch + 1))
            await journal.append(batch)

        journal.faults.append(taken)
        with pytest.raises(NotLeading):
            await shell.send(buy_for("ann", COST))
        with pytest.raises(Deposed):
            await shell.running
        with pytest.raises(NotLeading):
            await shell.send(buy_for("ann", COST))
        with pytest.raises(NotLeading):
            await shell.sequencer.read(lambda state: state.batch_number)


async def test_a_late_batch_of_an_older_epoch_is_folded_and_the_work_done_after_it() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)

        async def taken(batch: SealedBatch) -> None:
            journal.store(foreign_batch(journal.batches[batch.number - 1], epoch=batch.epoch - 1))
            await journal.append(batch)

        journal.faults.append(taken)
        reply = await shell.send(buy_for("ann", COST))
        assert reply.batch == max(journal.batches)
        assert journal.batches[reply.batch - 1].writer == "other"
        assert shell.state.order_number == 1
        assert await replayed_hash(journal) == state_hash(shell.state)


async def test_of_two_writers_the_one_that_started_later_leads() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as old:
        await old.deposit("ann", "USD", 1_000 * UNIT)
        async with running_shell(journal, writer="writer-b") as new:
            await new.send(buy_for("ann", COST, key="k"))
            with pytest.raises(NotLeading):
                await old.send(buy_for("ann", COST, key="other"))
            with pytest.raises(Deposed):
                await old.running
            assert new.state.order_number == 1
            assert await replayed_hash(journal) == state_hash(new.state)


async def test_two_writers_that_start_together_get_different_epochs() -> None:
    journal = MemoryJournal()
    async with running_shell(journal) as shell:
        before = max(journal.batches)
        epoch = journal.batches[before].epoch

        async def overtaken(batch: SealedBatch) -> None:
            journal.store(foreign_batch(journal.batches[batch.number - 1], epoch=batch.epoch))
            await journal.append(batch)

        journal.faults.append(overtaken)
        async with running_shell(journal, writer="writer-b") as second:
            assert second.sequencer.is_leading
            assert [journal.batches[before + step].epoch for step in (1, 2)] == [epoch + 1, epoch + 2]
        assert shell.sequencer.is_leading  # nobody told it yet; its next append will


def test_memory_refuses_a_journal_that_does_not_follow() -> None:
    memory = Memory(Limits())
    batch = foreign_batch(
        seal(number=0, epoch=0, writer="", time_milliseconds=1, users=(), body=b"", previous=b""), epoch=1
    )
    with pytest.raises(Exception, match="does not follow"):
        memory.fold(batch)
