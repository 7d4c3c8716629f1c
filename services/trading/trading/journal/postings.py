"""What the journal did to one user's accounts: every event of theirs with its postings and holds, oldest first."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trading.domain.accounts import HoldChange, Posting, owner_of_user
from trading.domain.events import Event, Traded
from trading.domain.identifiers import trade_id
from trading.domain.ledger import holds_of, postings_of
from trading.domain.transfer_kinds import Party, party_of
from trading.journal.history import TransferEvent, user_sequences

TRADE = "trade"  # the kind of a posting that a trade made; a transfer's is the transfer's own


class OwnPosting(NamedTuple):
    """One change of one account's sum. `counterparties` are the kinds of accounts that took the other side."""

    asset: str
    amount: int
    counterparties: tuple[Party, ...]


class AccountStep(NamedTuple):
    """One of a user's events, as it moved money: `postings` change what there is, `holds` only what is available.

    `reference` is the trade's or the transfer's id, `order_id` the user's order where it was a fill. `kind` is empty
    where nothing was posted.
    """

    sequence: int
    batch: int
    time_milliseconds: int
    kind: str
    reference: str
    order_id: str
    business_key: str
    postings: tuple[OwnPosting, ...]
    holds: tuple[HoldChange, ...]


def account_steps(
    events: Sequence[Event], user_id: str, *, batch: int, time_milliseconds: int
) -> Iterator[AccountStep]:
    """The user's steps in one batch, in their order."""
    owner = owner_of_user(user_id)
    for event in events:
        for user, sequence in user_sequences((event,)):
            if user == user_id:
                yield _step(event, owner, sequence, batch, time_milliseconds)


def _step(event: Event, owner: str, sequence: int, batch: int, time_milliseconds: int) -> AccountStep:
    postings = postings_of(event)
    own = tuple(
        OwnPosting(asset, amount, _counterparties(postings, owner, asset, amount))
        for name, asset, amount in postings
        if name == owner
    )
    holds = tuple(hold for hold in holds_of(event) if hold.owner == owner)
    kind = reference = order_id = business_key = ""
    if isinstance(event, Traded):
        kind, reference = TRADE, trade_id(time_milliseconds, event.trade_number)
        order_id = (event.buyer if event.buyer.owner == owner else event.seller).order_id
    elif isinstance(event, TransferEvent):
        kind, reference, business_key = event.kind, event.transfer_id, event.business_key
    return AccountStep(sequence, batch, time_milliseconds, kind, reference, order_id, business_key, own, holds)


def _counterparties(postings: Sequence[Posting], owner: str, asset: str, amount: int) -> tuple[Party, ...]:
    parties = (
        party_of(name)
        for name, other_asset, other in postings
        if name != owner and other_asset == asset and (other > 0) is not (amount > 0)
    )
    return tuple(dict.fromkeys(parties))
