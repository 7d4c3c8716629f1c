"""Applies the ledger's own events: transfers of both kinds, frozen assets."""

from bisect import bisect_left, insort

from trading.domain.accounts import owner_of_user
from trading.domain.events import (
    AssetFrozen,
    AssetUnfrozen,
    HoldEnd,
    TransferHeld,
    TransferPosted,
    TransferReleased,
    TransferSettled,
    UserSequence,
)
from trading.domain.ledger import holds_of, postings_of
from trading.domain.owners import account_of, owner_named
from trading.domain.state import ExchangeState, PendingTransfer, RememberedKey

_Movement = TransferPosted | TransferHeld | TransferSettled | TransferReleased


def post_transfer(state: ExchangeState, event: TransferPosted) -> None:
    _move(state, event)
    state.transfer_number = event.transfer_number
    _remember(state, event.business_key, event.fingerprint, event.transfer_id)


def hold_transfer(state: ExchangeState, event: TransferHeld) -> None:
    _move(state, event)
    state.transfer_number = event.transfer_number
    _remember(state, event.business_key, event.fingerprint, event.transfer_id)
    add_pending(
        state,
        PendingTransfer(
            event.transfer_id,
            event.transfer_number,
            event.business_key,
            event.kind,
            event.expires_milliseconds,
            state.batch_milliseconds,
            event.postings,
        ),
    )


def settle_transfer(state: ExchangeState, event: TransferSettled) -> None:
    _move(state, event)
    _remember(state, event.business_key, event.fingerprint, event.transfer_id)
    _end(state, event.hold_key, HoldEnd.POSTED)


def release_transfer(state: ExchangeState, event: TransferReleased) -> None:
    _move(state, event)
    if event.business_key:
        _remember(state, event.business_key, event.fingerprint, event.transfer_id)
    _end(state, event.hold_key, event.end)


def freeze_asset(state: ExchangeState, event: AssetFrozen) -> None:
    state.frozen_assets[event.asset] = event.reason


def unfreeze_asset(state: ExchangeState, event: AssetUnfrozen) -> None:
    del state.frozen_assets[event.asset]


def add_pending(state: ExchangeState, pending: PendingTransfer) -> None:
    """Files a pending transfer under its key, its owners and its time."""
    state.pending_transfers[pending.hold_key] = pending
    for owner in pending.holders:
        owner_named(state, owner).pending[pending.hold_key] = pending
    if pending.expires_milliseconds:
        insort(state.expiring_transfers, _expiry(pending))


def _end(state: ExchangeState, hold_key: str, end: HoldEnd) -> None:
    pending = state.pending_transfers.pop(hold_key)
    for owner in pending.holders:
        del state.owners[owner].pending[hold_key]
    if pending.expires_milliseconds:
        del state.expiring_transfers[bisect_left(state.expiring_transfers, _expiry(pending))]
    name = ("", hold_key)
    state.keys.ended_hold[name] = RememberedKey(end.value, state.batch_number, (), pending.transfer_id, "")
    state.keys.by_age.append((state.batch_number, "ended_hold", name))


def _expiry(pending: PendingTransfer) -> tuple[int, int, str]:
    return pending.expires_milliseconds, pending.transfer_number, pending.hold_key


def _move(state: ExchangeState, event: _Movement) -> None:
    for owner, asset, amount in postings_of(event):
        account_of(state, owner, asset).available += amount
    for owner, asset, amount in holds_of(event):
        account = account_of(state, owner, asset)
        account.available -= amount
        account.held += amount
    _step(state, event.user_sequences)


def _step(state: ExchangeState, user_sequences: tuple[UserSequence, ...]) -> None:
    for user in user_sequences:
        owner = owner_named(state, owner_of_user(user.user_id))
        owner.sequence = user.sequence
        owner.last_batch = state.batch_number


def _remember(state: ExchangeState, business_key: str, fingerprint: str, transfer_id: str) -> None:
    name = ("", business_key)
    state.keys.business[name] = RememberedKey(fingerprint, state.batch_number, (), transfer_id, "")
    state.keys.by_age.append((state.batch_number, "business", name))
