"""Money moves between accounts outside trading, in one phase: practice money, deposits, fees, adjustments."""

from trading.domain.commands import Transfer
from trading.domain.events import TransferPosted
from trading.domain.identifiers import transfer_id
from trading.domain.keys import fingerprint_of, repeat_of_transfer
from trading.domain.outcomes import Decision
from trading.domain.state import ExchangeState
from trading.domain.transfer_rules import (
    check_funds,
    check_issue,
    check_key_and_actor,
    check_kind,
    check_postings,
    check_room,
    sequences_of,
)


def transfer(state: ExchangeState, command: Transfer) -> Decision:
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_transfer(state.keys, command, fingerprint)
    if repeat is not None:
        return repeat
    check_key_and_actor(command.business_key, command.actor)
    check_postings(state, command.postings)
    check_kind(state, command)
    check_room(state, command.postings)
    check_funds(state, command.postings)
    check_issue(state, command.postings)
    number = state.transfer_number + 1
    return [
        TransferPosted(
            transfer_id(state.batch_milliseconds, number),
            number,
            command.business_key,
            command.kind,
            command.postings,
            command.reason,
            fingerprint,
            sequences_of(state, (posting.owner for posting in command.postings)),
            command.actor,
        )
    ]
