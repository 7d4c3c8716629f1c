"""Python's collector of cycles: little for it to look through, and nothing for it to find."""

import asyncio
import gc
import weakref

from chassis.testing import eventually
from shell_factory import UNIT, MemoryJournal, buy_for, running_shell
from trading.sequencer.future_ticket import FutureTicket
from trading.sequencer.lasting_memory import COMMANDS_BETWEEN, LastingMemory


async def test_what_has_lasted_is_taken_out_of_the_collectors_sight() -> None:
    async with running_shell(MemoryJournal()) as shell:
        shell.sequencer.on_batch(LastingMemory())
        frozen = gc.get_freeze_count()
        await asyncio.gather(*(shell.deposit(f"user-{number}", "USD", UNIT) for number in range(COMMANDS_BETWEEN)))
        # At least an account for each.
        await eventually(lambda: gc.get_freeze_count() > frozen + COMMANDS_BETWEEN)


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
