"""What a transfer of either kind must keep to: its postings, its kind, who answers for it, what the accounts have."""

from collections.abc import Iterable

from trading.domain.accounts import MAY_BE_NEGATIVE, SYSTEM_OWNERS, Posting, user_of_owner
from trading.domain.amounts import AMOUNT_MAX, format_amount
from trading.domain.commands import Actor, HoldTransfer, Transfer
from trading.domain.errors import AmountTooLarge, InsufficientFunds, UnknownAsset
from trading.domain.events import UserSequence
from trading.domain.issue import owed
from trading.domain.settlement import Draft
from trading.domain.state import ExchangeState
from trading.domain.transfer_errors import AssetIsFrozen, InvalidTransfer
from trading.domain.transfer_kinds import KINDS, TransferKind, party_of

BUSINESS_KEY_LENGTH_MAX = 255


def check_key_and_actor(business_key: str, actor: Actor) -> None:
    """M22: no movement without somebody who asked for it and the request in which he did."""
    if not 1 <= len(business_key) <= BUSINESS_KEY_LENGTH_MAX:
        raise InvalidTransfer("A business key of 1 to 255 characters is needed.", rule="business_key")
    if not actor.credential_id or not actor.request_id:
        raise InvalidTransfer("A transfer names a session, key or service, and a request.", rule="actor")


def check_kind(state: ExchangeState, command: Transfer | HoldTransfer) -> TransferKind:
    kind = KINDS.get(command.kind)
    if kind is None:
        raise InvalidTransfer("There is no such kind of transfer.", rule="kind", allowed=", ".join(KINDS))
    held = type(command) is HoldTransfer
    if not (kind.held_first if held else kind.at_once):
        message = "It cannot be held." if held else "It must be held first."
        raise InvalidTransfer(message, rule="phases", kind=kind.name)
    if kind.needs_person and not (command.actor.user_id and command.reason):
        raise InvalidTransfer("A person and a reason are needed.", rule="person_and_reason", kind=kind.name)
    for owner, asset, amount in command.postings:
        allowed = kind.debits if amount < 0 else kind.credits
        if party_of(owner) not in allowed:
            raise InvalidTransfer(
                "This kind of transfer does not touch that account.",
                rule="accounts", kind=kind.name, owner=owner[:64], allowed=", ".join(allowed),
            )  # fmt: skip
        if kind.stops_when_frozen and asset in state.frozen_assets:
            raise AssetIsFrozen(asset=asset)
    return kind


def check_postings(state: ExchangeState, postings: tuple[Posting, ...]) -> None:
    if not 2 <= len(postings) <= state.limits.postings_per_transfer:  # noqa: PLR2004 - one gives, one takes
        raise InvalidTransfer(
            "A transfer has at least two postings.",
            rule="postings", limit=str(state.limits.postings_per_transfer), given=str(len(postings)),
        )  # fmt: skip
    sums: dict[str, int] = {}
    seen: dict[tuple[str, str], bool] = {}
    for owner, asset, amount in postings:
        if asset not in state.assets:
            raise UnknownAsset(asset=asset)
        if owner not in SYSTEM_OWNERS and not user_of_owner(owner):
            raise InvalidTransfer("There is no such account.", rule="owner", owner=owner[:64])
        if amount == 0:
            raise InvalidTransfer("A posting of zero moves nothing.", rule="zero", owner=owner, asset=asset)
        if (owner, asset) in seen:
            raise InvalidTransfer("An account has one posting per transfer.", rule="unique", owner=owner, asset=asset)
        seen[owner, asset] = True
        sums[asset] = sums.get(asset, 0) + amount
    for asset, total in sums.items():
        if total != 0:
            difference = format_amount(total, state.assets[asset].scale)
            raise InvalidTransfer("The postings must sum to zero.", rule="balance", asset=asset, given=difference)


def check_room(state: ExchangeState, postings: Iterable[Posting]) -> None:
    """No account may pass 63 bits."""
    for owner, asset, amount in postings:
        available, held = _account(state, owner, asset)
        if abs(available + held + amount) > AMOUNT_MAX:
            raise _too_large(state, asset, amount)


def check_funds(state: ExchangeState, postings: Iterable[Posting]) -> None:
    """Whoever pays has it available; what may be negative stays within 63 bits."""
    for owner, asset, amount in postings:
        available, _ = _account(state, owner, asset)
        if abs(available + amount) > AMOUNT_MAX:
            raise _too_large(state, asset, amount)
        if amount < 0 and available + amount < 0 and owner not in MAY_BE_NEGATIVE:
            scale = state.assets[asset].scale
            raise InsufficientFunds(
                asset=asset, required=format_amount(-amount, scale), available=format_amount(available, scale)
            )


def check_issue(state: ExchangeState, postings: Iterable[Posting]) -> None:
    """What all balances of an asset come to fits 63 bits, so each one does, whoever trades with whom."""
    moves = [*postings]
    for owner, asset, amount in moves:
        if amount < 0 and owner in MAY_BE_NEGATIVE and owed(state.owners, asset, moves) > AMOUNT_MAX:
            raise _too_large(state, asset, amount)


def sequences_of(state: ExchangeState, owners: Iterable[str]) -> tuple[UserSequence, ...]:
    """The next event of each user among the owners, once each."""
    draft = Draft(state)
    users = dict.fromkeys(owner for owner in owners if user_of_owner(owner))
    return tuple(draft.user_sequence(owner) for owner in users)


def _too_large(state: ExchangeState, asset: str, amount: int) -> AmountTooLarge:
    scale = state.assets[asset].scale
    return AmountTooLarge(limit=format_amount(AMOUNT_MAX, scale), given=format_amount(abs(amount), scale))


def _account(state: ExchangeState, owner: str, asset: str) -> tuple[int, int]:
    known = state.owners.get(owner)
    account = known.accounts.get(asset) if known is not None else None
    return (account.available, account.held) if account is not None else (0, 0)
