"""A new batch: its number, its time, and which keys leave memory: old ones, and the oldest where there are too many."""

from itertools import islice

from trading.domain.commands import StartBatch
from trading.domain.events import BatchStarted
from trading.domain.identifiers import milliseconds_of
from trading.domain.keys import ORDER_KEY_SECONDS, is_of_order
from trading.domain.outcomes import Decision
from trading.domain.state import ExchangeState

_LOOKED_AT = 64  # keys, from the oldest on, with each batch: when nothing is too old, one is enough


def start_batch(state: ExchangeState, command: StartBatch) -> Decision:
    """A gap or a clock that went back is the shell's bug, hence no rejection but `ValueError`."""
    if command.number != state.batch_number + 1:
        raise ValueError(f"batch {command.number} does not follow {state.batch_number}")
    if command.time_milliseconds < state.batch_milliseconds:
        raise ValueError(f"time {command.time_milliseconds} is before {state.batch_milliseconds}")
    return [
        BatchStarted(
            command.number, command.time_milliseconds, keys_to_evict(state, command.number, command.time_milliseconds)
        )
    ]


def keys_to_evict(state: ExchangeState, number: int, time_milliseconds: int) -> int:
    """The batch whose keys and all older ones batch `number` makes the exchange forget; 0 for none."""
    by_age, most = state.keys.by_age, state.limits.remembered_keys
    # Whole batches go, so that a batch's number alone says what memory still holds.
    crowded_out = by_age[len(by_age) - most - 1][0] if len(by_age) > most else 0
    too_old = _batch_before(state, time_milliseconds - 1_000 * ORDER_KEY_SECONDS)
    return max(crowded_out, number - state.limits.remembered_batches, too_old, 0)


def _batch_before(state: ExchangeState, time_milliseconds: int) -> int:
    """The newest batch of that time or before it, as far as the oldest keys tell; 0 for none.

    Only a placed order's key tells when it came, by the order's id. Other keys leave with the next older than a day: on
    an exchange so quiet that there is none, they stay until memory has had its number of batches.
    """
    keys = state.keys
    if not keys.by_age:
        return 0
    oldest_batch = keys.by_age[0][0]
    if keys.looked_at == oldest_batch and time_milliseconds < keys.young_until_milliseconds:
        return 0
    by_kind, found = keys.by_kind, 0
    young_until = state.batch_milliseconds  # what is still to come is no older
    for batch, kind, name in islice(keys.by_age, _LOOKED_AT):
        remembered = by_kind[kind].get(name)
        # Of a key that came again the younger entry is remembered.
        if remembered is None or remembered.batch != batch or not is_of_order(remembered.fingerprint):
            continue
        came = milliseconds_of(remembered.order_ids[0])
        if came > time_milliseconds:
            young_until = came
            break
        found = batch
    if not found:
        # Every batch asks, and the answer seldom changes. It follows from the keys, so a snapshot need not hold it.
        keys.looked_at, keys.young_until_milliseconds = oldest_batch, young_until
    return found
