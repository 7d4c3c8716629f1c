"""Money moves between accounts outside trading: practice money, deposits, adjustments. One-phase."""

from trading.domain.accounts import MAY_BE_NEGATIVE, SYSTEM_OWNERS, user_of_owner
from trading.domain.amounts import AMOUNT_MAX, format_amount
from trading.domain.commands import Transfer
from trading.domain.errors import AmountTooLarge, InsufficientFunds, InvalidTransfer, UnknownAsset
from trading.domain.events import TransferPosted, UserSequence
from trading.domain.identifiers import transfer_id
from trading.domain.keys import fingerprint_of, repeat_of_transfer
from trading.domain.outcomes import Decision
from trading.domain.settlement import Draft
from trading.domain.state import ExchangeState

BUSINESS_KEY_LENGTH_MAX = 255


def transfer(state: ExchangeState, command: Transfer) -> Decision:
    fingerprint = fingerprint_of(command)
    repeat = repeat_of_transfer(state.keys, command, fingerprint)
    if repeat is not None:
        return repeat
    _check_postings(state, command)
    for owner, asset, amount in command.postings:
        _check_account(state, owner, asset, amount)
    draft = Draft(state)
    sequences: dict[str, UserSequence] = {}
    for owner, _, _ in command.postings:
        user_id = user_of_owner(owner)
        if user_id and user_id not in sequences:
            sequences[user_id] = UserSequence(user_id, draft.next_sequence(owner))
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
            tuple(sequences.values()),
            command.actor,
        )
    ]


def _check_postings(state: ExchangeState, command: Transfer) -> None:
    if not 1 <= len(command.business_key) <= BUSINESS_KEY_LENGTH_MAX:
        raise InvalidTransfer("A business key of 1 to 255 characters is needed.", rule="business_key")
    if not 2 <= len(command.postings) <= state.limits.postings_per_transfer:  # noqa: PLR2004 - one gives, one takes
        raise InvalidTransfer(
            "A transfer has at least two postings.",
            rule="postings", limit=str(state.limits.postings_per_transfer), given=str(len(command.postings)),
        )  # fmt: skip
    sums: dict[str, int] = {}
    seen: dict[tuple[str, str], bool] = {}
    for owner, asset, amount in command.postings:
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


def _check_account(state: ExchangeState, owner: str, asset: str, amount: int) -> None:
    scale = state.assets[asset].scale
    known = state.owners.get(owner)
    account = known.accounts.get(asset) if known is not None else None
    available, held = (account.available, account.held) if account is not None else (0, 0)
    if abs(available + held + amount) > AMOUNT_MAX:
        raise AmountTooLarge(limit=format_amount(AMOUNT_MAX, scale), given=format_amount(abs(amount), scale))
    if amount < 0 and available + amount < 0 and owner not in MAY_BE_NEGATIVE:
        raise InsufficientFunds(
            asset=asset, required=format_amount(-amount, scale), available=format_amount(available, scale)
        )
