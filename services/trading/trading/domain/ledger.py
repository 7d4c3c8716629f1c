"""Double entry. Postings change what an account has, holds move it between available and held.

Both are listed by the two functions here: the projector, the journal's readers and the invariants use them. `evolve`
makes the same moves without a list; the invariant that compares every balance with the lists (M6) holds them together.
"""

from collections.abc import Iterable

from trading.domain.accounts import FEES, HoldChange, Posting, owner_of_user
from trading.domain.events import (
    Event,
    OrderAmended,
    OrderClosed,
    OrderPlaced,
    Traded,
    TransferHeld,
    TransferPosted,
    TransferReleased,
    TransferSettled,
)


def postings_of(event: Event) -> tuple[Posting, ...] | list[Posting]:
    """The movements of an event: none, or at least two, none zero, and per asset they sum to zero (M2)."""
    kind = type(event)
    if kind is Traded:
        return _trade_postings(event)  # type: ignore[arg-type]  # the exact type was just compared: this is the hot path
    if kind is TransferPosted or kind is TransferSettled:
        return event.postings  # type: ignore[union-attr]
    return ()


def holds_of(event: Event) -> tuple[HoldChange, ...]:
    """What moves between available and held, per account. A trade's postings are to be applied to available before."""
    kind = type(event)
    if kind is OrderPlaced:
        return (HoldChange(owner_of_user(event.user_id), event.hold_asset, event.hold),)  # type: ignore[union-attr]
    if kind is Traded:
        return _trade_holds(event)  # type: ignore[arg-type]
    if kind is TransferHeld:
        return holds_for(event.postings)  # type: ignore[union-attr]
    if kind is TransferSettled or kind is TransferReleased:
        return event.released  # type: ignore[union-attr]
    if kind is OrderClosed or kind is OrderAmended:
        change = -event.hold_reduction if kind is OrderClosed else event.hold_change  # type: ignore[union-attr]
        return (HoldChange(owner_of_user(event.user_id), event.hold_asset, change),) if change else ()  # type: ignore[union-attr]
    return ()


def holds_for(postings: Iterable[Posting]) -> tuple[HoldChange, ...]:
    """What must be held so that the postings can be made later: all that they take away."""
    return tuple(HoldChange(owner, asset, -amount) for owner, asset, amount in postings if amount < 0)


def _trade_holds(trade: Traded) -> tuple[HoldChange, ...]:
    buyer, seller = trade.buyer, trade.seller
    if not seller.hold_reduction:
        return (HoldChange(buyer.owner, trade.quote_asset, -buyer.hold_reduction),)
    if not buyer.hold_reduction:
        return (HoldChange(seller.owner, trade.base_asset, -seller.hold_reduction),)
    return (
        HoldChange(buyer.owner, trade.quote_asset, -buyer.hold_reduction),
        HoldChange(seller.owner, trade.base_asset, -seller.hold_reduction),
    )


def _trade_postings(trade: Traded) -> list[Posting]:
    buyer, seller = trade.buyer, trade.seller
    base, quote = trade.base_asset, trade.quote_asset
    postings = [
        Posting(buyer.owner, base, trade.quantity),
        Posting(seller.owner, base, -trade.quantity),
        Posting(buyer.owner, quote, -(trade.notional + buyer.fee)),
    ]
    proceeds = trade.notional - seller.fee
    if proceeds:
        postings.append(Posting(seller.owner, quote, proceeds))
    fees = buyer.fee + seller.fee
    if fees:
        postings.append(Posting(FEES, quote, fees))
    return postings
