"""Transfers in two phases: hold, then post (all or a part), void, or let it expire. Each phase has a business key."""

from trading.domain.accounts import HoldChange, Posting, user_of_owner
from trading.domain.commands import ExpireTransfers, HoldTransfer, PostTransfer, VoidTransfer
from trading.domain.events import Event, HoldEnd, TransferHeld, TransferReleased, TransferSettled
from trading.domain.identifiers import transfer_id
from trading.domain.keys import fingerprint_of, repeat_of_transfer
from trading.domain.ledger import holds_for
from trading.domain.outcomes import Decision
from trading.domain.settlement import Draft
from trading.domain.state import ExchangeState, PendingTransfer, RememberedKeys
from trading.domain.transfer_errors import (
    InvalidTransfer,
    TooManyPendingTransfers,
    TransferAlreadyPosted,
    TransferAlreadyVoided,
    TransferExpired,
    TransferNotFound,
)
from trading.domain.transfer_rules import (
    check_funds,
    check_issue,
    check_key_and_actor,
    check_kind,
    check_postings,
    check_room,
    sequences_of,
)

_REFUSALS: dict[str, type[TransferAlreadyPosted | TransferAlreadyVoided | TransferExpired]] = {
    HoldEnd.POSTED: TransferAlreadyPosted,
    HoldEnd.VOIDED: TransferAlreadyVoided,
    HoldEnd.EXPIRED: TransferExpired,
}


def hold_transfer(state: ExchangeState, command: HoldTransfer) -> Decision:
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_transfer(state.keys, command, fingerprint)
    if repeat is not None:
        return repeat
    check_key_and_actor(command.business_key, command.actor)
    check_postings(state, command.postings)
    kind = check_kind(state, command)
    expires = command.expires_milliseconds
    if expires and not kind.may_expire:
        raise InvalidTransfer("It is held until somebody says how it ended.", rule="expiry", kind=kind.name)
    if expires and expires <= state.batch_milliseconds:
        raise InvalidTransfer("It would expire at once.", rule="expiry", kind=kind.name)
    holds = holds_for(command.postings)
    for owner in dict.fromkeys(hold.owner for hold in holds):
        _check_number_of_pending(state, owner)
    check_room(state, command.postings)
    check_funds(state, command.postings)
    # What is credited comes later, if at all.
    check_issue(state, (posting for posting in command.postings if posting.amount < 0))
    number = state.transfer_number + 1
    return [
        TransferHeld(
            transfer_id(state.batch_milliseconds, number),
            number,
            command.business_key,
            command.kind,
            command.postings,
            expires,
            command.reason,
            fingerprint,
            sequences_of(state, (hold.owner for hold in holds)),
            command.actor,
        )
    ]


def post_transfer(state: ExchangeState, command: PostTransfer) -> Decision:
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_transfer(state.keys, command, fingerprint)
    if repeat is not None:
        return repeat
    check_key_and_actor(command.business_key, command.actor)
    pending = _pending(state, command.hold_key)
    postings = command.postings or pending.postings
    if command.postings:
        check_postings(state, postings)
        _check_part(pending, postings)
    check_room(state, postings)
    released = _release(pending)
    owners = (*(posting.owner for posting in postings), *(hold.owner for hold in released))
    return [
        TransferSettled(
            pending.transfer_id,
            pending.hold_key,
            command.business_key,
            pending.kind,
            postings,
            released,
            command.reason,
            fingerprint,
            sequences_of(state, owners),
            command.actor,
        )
    ]


def void_transfer(state: ExchangeState, command: VoidTransfer) -> Decision:
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_transfer(state.keys, command, fingerprint)
    if repeat is not None:
        return repeat
    check_key_and_actor(command.business_key, command.actor)
    pending = _pending(state, command.hold_key)
    released = _release(pending)
    return [
        TransferReleased(
            pending.transfer_id,
            pending.hold_key,
            command.business_key,
            HoldEnd.VOIDED,
            pending.kind,
            released,
            command.reason,
            fingerprint,
            sequences_of(state, (hold.owner for hold in released)),
            command.actor,
        )
    ]


def expire_transfers(state: ExchangeState, command: ExpireTransfers) -> Decision:  # noqa: ARG001 - it names nothing
    """The oldest first. No event where none is due, so that the shell may ask at any time."""
    draft = Draft(state)
    events: list[Event] = []
    for expires, _, hold_key in state.expiring_transfers[: state.limits.expiries_per_command]:
        if expires > state.batch_milliseconds:
            break
        pending = state.pending_transfers[hold_key]
        released = _release(pending)
        users = dict.fromkeys(hold.owner for hold in released if user_of_owner(hold.owner))
        events.append(
            TransferReleased(
                pending.transfer_id,
                hold_key,
                "",
                HoldEnd.EXPIRED,
                pending.kind,
                released,
                "",
                "",
                tuple(draft.user_sequence(owner) for owner in users),
                None,
            )
        )
    return events


def refuse_ended(keys: RememberedKeys, hold_key: str) -> None:
    """Raises how the hold ended, where these keys know that it did."""
    ended = keys.ended_hold.get(("", hold_key))
    if ended is not None:
        raise _REFUSALS[ended.fingerprint](hold_key=hold_key)


def _pending(state: ExchangeState, hold_key: str) -> PendingTransfer:
    pending = state.pending_transfers.get(hold_key)
    if pending is None:
        refuse_ended(state.keys, hold_key)
        raise TransferNotFound(hold_key=hold_key[:255])
    if 0 < pending.expires_milliseconds <= state.batch_milliseconds:
        # Its time is over, though the batch that says so is still to come.
        raise TransferExpired(hold_key=hold_key)
    return pending


def _release(pending: PendingTransfer) -> tuple[HoldChange, ...]:
    return tuple(hold._replace(amount=-hold.amount) for hold in holds_for(pending.postings))


def _check_part(pending: PendingTransfer, postings: tuple[Posting, ...]) -> None:
    held = {(owner, asset): amount for owner, asset, amount in pending.postings}
    for owner, asset, amount in postings:
        whole = held.get((owner, asset), 0)
        if amount * whole <= 0 or abs(amount) > abs(whole):
            raise InvalidTransfer("Only what was held can be posted.", rule="part", owner=owner[:64], asset=asset)


def _check_number_of_pending(state: ExchangeState, owner: str) -> None:
    known = state.owners.get(owner)
    limit = state.limits.pending_transfers_per_user
    # The outside world may owe any number of deposits.
    if known is not None and known.user_id and len(known.pending) >= limit:
        raise TooManyPendingTransfers(limit=limit, given=len(known.pending) + 1)
