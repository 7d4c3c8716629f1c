"""`cryptovault exchange replay`: the state at a batch, as a hash."""

import time

from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.domain.snapshot import state_hash
from trading.domain.state import Limits
from trading.sequencer.memory import Memory
from trading.sequencer.recovery import newest_memory


async def replay_journal(exchange: OpenExchange, report: Report, *, last: int | None, from_snapshot: bool) -> None:
    """Raises `BrokenChain`, `UnknownEventType`, `JournalUnreachable`."""
    head = await exchange.head()
    target = head if last is None else last
    if target > head:
        report.wrong(f"the journal ends at batch {head}")
        return
    started = time.process_time()
    memory = Memory(Limits())
    if from_snapshot:
        memory = await newest_memory(exchange.journal, Limits(), exchange.snapshots, up_to=target)
    report.fact("started_at", memory.number)
    with report.progress("folding", target - memory.number) as progress:
        async for batch in exchange.batches(memory.number, target):
            memory.fold(batch)
            progress.update(1)
    if memory.number != target:
        report.wrong(f"batch {memory.number + 1} is missing")
    report.fact("batch", memory.number)
    report.fact("state_hash", state_hash(memory.state))
    report.fact("open_orders", len(memory.state.orders))
    report.fact("owners", len(memory.state.owners))
    report.fact("cpu_seconds", round(time.process_time() - started, 3))
