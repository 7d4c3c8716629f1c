"""Python's collector of cycles: little for it to look through, and nothing for it to find."""

import asyncio
import gc
import weakref

import pytest
from chassis.mongo import MongoDatabase
from chassis.testing import eventually
from shell_factory import UNIT, MemoryJournal, buy_for, running_shell
from trading.projector import projector
from trading.sequencer.future_ticket import FutureTicket
from trading.sequencer.lasting_memory import COMMANDS_BETWEEN, LastingMemory
from trading.storage.projection import Projection


async def test_what_has_lasted_is_taken_out_of_the_collectors_sight() -> None:
    async with running_shell(MemoryJournal()) as shell:
        lasting_memory = LastingMemory(COMMANDS_BETWEEN)
        shell.sequencer.on_batch(lambda batch: lasting_memory(len(batch.entries)))
        frozen = gc.get_freeze_count()
        await asyncio.gather(*(shell.deposit(f"user-{number}", "USD", UNIT) for number in range(COMMANDS_BETWEEN)))
        # At least an account for each.
        await eventually(lambda: gc.get_freeze_count() > frozen + COMMANDS_BETWEEN)


async def test_what_the_projector_has_folded_is_too(
    mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "BODY_BYTES_BETWEEN", 1_000)
    journal = MemoryJournal()
    following = projector.Projector(journal, Projection(mongo_database))  # type: ignore[arg-type]
    await following.catch_up()
    running = asyncio.create_task(following.run())
    try:
        async with running_shell(journal) as shell:
            frozen = gc.get_freeze_count()
            await asyncio.gather(*(shell.deposit(f"user-{number}", "USD", UNIT) for number in range(100)))
            assert await following.reached(shell.state.batch_number, 10)
            await eventually(lambda: gc.get_freeze_count() > frozen + 100)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_refused_command_is_gone_without_the_collector() -> None:
    """Among what is frozen a cycle would stay for ever, and with it the batch that it was refused in."""
    async with running_shell(MemoryJournal()) as shell:
        gc.disable()
        try:
            ticket = FutureTicket(buy_for("ann", UNIT))
            shell.sequencer.enter(ticket)
            await asyncio.wait([ticket.outcome])
            assert ticket.outcome.exception() is not None
            left = weakref.ref(ticket)
            del ticket
            assert left() is None
        finally:
            gc.enable()
