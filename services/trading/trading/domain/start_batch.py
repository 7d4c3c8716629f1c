"""A new batch: its number, its time, and which keys leave memory: old ones, and the oldest where there are too many."""

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
    return [BatchStarted(command.number, command.time_milliseconds, keys_to_evict(state, command.number))]


def keys_to_evict(state: ExchangeState, number: int) -> int:
    """The batch whose keys and all older ones batch `number` makes the exchange forget; 0 for none."""
    by_age, most = state.keys.by_age, state.limits.remembered_keys
    # Whole batches go, so that a batch's number alone says what memory still holds.
    crowded_out = by_age[len(by_age) - most - 1][0] if len(by_age) > most else 0
    return max(crowded_out, number - state.limits.remembered_batches, 0)
