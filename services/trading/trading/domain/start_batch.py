"""A new batch: its number, its time, and which keys are old enough to leave memory."""

from trading.domain.commands import StartBatch
from trading.domain.events import BatchStarted
from trading.domain.outcomes import Decision
from trading.domain.state import ExchangeState


def start_batch(state: ExchangeState, command: StartBatch) -> Decision:
    """A gap or a clock that went back is the shell's bug, hence no rejection but `ValueError`."""
    if command.number != state.batch_number + 1:
        raise ValueError(f"batch {command.number} does not follow {state.batch_number}")
    if command.time_milliseconds < state.batch_milliseconds:
        raise ValueError(f"time {command.time_milliseconds} is before {state.batch_milliseconds}")
    evicted = max(0, command.number - state.limits.remembered_batches)
    return [BatchStarted(command.number, command.time_milliseconds, evicted)]
