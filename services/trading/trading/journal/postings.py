"""What the journal did to one account, or to all of one user's: postings and holds, oldest first."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trading.domain.accounts import HoldChange, Posting, owner_of_user
from trading.domain.commands import Actor
from trading.domain.events import Event, Traded
from trading.domain.identifiers import trade_id
from trading.domain.ledger import holds_of, postings_of
from trading.domain.transfer_kinds import KINDS, Party, party_of
from trading.journal.codec import Entry
from trading.journal.history import TransferEvent, user_sequences

TRADE = "trade"  # the kind of a posting that a trade made; a transfer's is the transfer's own
POSTING_KINDS = (TRADE, *KINDS)


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


class AccountLine(NamedTuple):
    """One posting of one account, with who asked for it. A tick that filled a resting order was asked for by nobody."""

    batch: int
    time_milliseconds: int
    kind: str
    reference: str
    amount: int
    counterparties: tuple[Party, ...]
    actor: Actor | None


def account_lines(
    entries: Sequence[Entry], owner: str, asset: str, *, batch: int, time_milliseconds: int
) -> Iterator[AccountLine]:
    """The postings of any account, a system's too, in one batch."""
    for command, events in entries:
        for event in events:
            postings = postings_of(event)
            for name, code, amount in postings:
                if (name, code) == (owner, asset):
                    yield AccountLine(
                        batch,
                        time_milliseconds,
                        *_kind_and_reference(event, time_milliseconds),
                        amount,
                        _counterparties(postings, owner, asset, amount),
                        getattr(command, "actor", None),
                    )


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
    kind, reference = _kind_and_reference(event, time_milliseconds)
    order_id = business_key = ""
    if isinstance(event, Traded):
        order_id = (event.buyer if event.buyer.owner == owner else event.seller).order_id
    elif isinstance(event, TransferEvent):
        business_key = event.business_key
    return AccountStep(sequence, batch, time_milliseconds, kind, reference, order_id, business_key, own, holds)


def _kind_and_reference(event: Event, time_milliseconds: int) -> tuple[str, str]:
    if isinstance(event, Traded):
        return TRADE, trade_id(time_milliseconds, event.trade_number)
    if isinstance(event, TransferEvent):
        return event.kind, event.transfer_id
    return "", ""


def _counterparties(postings: Sequence[Posting], owner: str, asset: str, amount: int) -> tuple[Party, ...]:
    parties = (
        party_of(name)
        for name, other_asset, other in postings
        if name != owner and other_asset == asset and (other > 0) is not (amount > 0)
    )
    return tuple(dict.fromkeys(parties))
