"""What happened. Events carry results, never rules: whoever folds them needs no knowledge of why.

Amounts are integers in minor units, prices quote minor units per whole base unit, times milliseconds since 1970. The
batch's number and time come from its `BatchStarted`. `user_sequence` counts a user's events 1, 2, 3, ... without gap.
A change of meaning is a new event type or a new field with a default; the journal's reader upcasts.

Events, commands and their parts are named tuples: as immutable as frozen dataclasses, and made in a quarter of the
time. Two of different types may be equal, so whoever compares events compares their types too.
"""

from enum import StrEnum
from typing import NamedTuple

from trading.domain.accounts import HoldChange, Posting
from trading.domain.commands import Actor
from trading.domain.markets import Asset, FeeRates, Market
from trading.domain.orders import CloseReason, Liquidity, OrderStatus, OrderType, Side, TimeInForce


class BatchStarted(NamedTuple):
    """Opens a batch and forgets the keys that came in batches up to `keys_evicted_up_to`."""

    number: int
    time_milliseconds: int
    keys_evicted_up_to: int


class AssetSet(NamedTuple):
    asset: Asset
    actor: Actor
    reason: str


class MarketSet(NamedTuple):
    """`version` counts the changes of this market; 0 in journals of before it was counted."""

    market: Market
    actor: Actor
    reason: str
    version: int = 0


class ReferencePriceSet(NamedTuple):
    market: str
    price: int
    source: str
    source_milliseconds: int
    received_milliseconds: int


class TradingPaused(NamedTuple):
    """The reference jumped: until that time nothing trades here but cancels are possible. Nothing marks the end."""

    market: str
    until_milliseconds: int
    price_before: int  # of the window's prices, the one that the new price is too far from
    price: int


class TradingResumed(NamedTuple):
    """An operator ended the pause; prices of before count for the circuit breaker no more."""

    market: str
    time_milliseconds: int
    actor: Actor
    reason: str


class UserFeesSet(NamedTuple):
    """From the next order on. `rates` None: the tiers apply again."""

    user_id: str
    rates: FeeRates | None
    actor: Actor
    reason: str


class OrderPlaced(NamedTuple):
    """An order was accepted and `hold` moved from available to held. With a `stop_price` it waits; else, `rests`: it
    enters the book now, with what the trades after this event in the same command leave of it.
    """

    order_id: str
    order_number: int
    user_id: str
    market: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    quantity: int
    quote_quantity: int
    price: int
    protection_price: int
    maker_fee_basis_points: int
    taker_fee_basis_points: int
    hold_asset: str
    hold: int
    rests: bool
    client_order_id: str
    idempotency_key: str
    fingerprint: str
    user_sequence: int
    actor: Actor
    stop_price: int = 0
    expires_milliseconds: int = 0


class OrderTriggered(NamedTuple):
    """The reference price has reached a waiting order's stop price: from here on it is like one that has just come.

    `priority` is its time in price-time priority, `rests` as in `OrderPlaced`.
    """

    order_id: str
    user_id: str
    market: str
    reference_price: int
    protection_price: int
    priority: int
    rests: bool
    user_sequence: int


class OrderAmended(NamedTuple):
    """An order has another limit or quantity, and `hold_change` more (or less) is held for it.

    `priority` 0: it keeps its place. Else it has left the book for that later one; `rests`: it enters the book again
    now, with what the trades after this event leave of it. The figures before are for readers of the journal.
    """

    order_id: str
    user_id: str
    market: str
    price: int
    quantity: int
    protection_price: int
    price_before: int
    quantity_before: int
    priority: int
    rests: bool
    hold_asset: str
    hold_change: int
    status: OrderStatus  # as it was before, and is
    user_sequence: int
    actor: Actor


class TradeSide(NamedTuple):
    """One side of a trade. The house has no order: an empty `order_id`, no fee, no hold, sequence 0."""

    owner: str
    order_id: str
    liquidity: Liquidity
    fee_basis_points: int
    fee: int  # quote minor units
    hold_reduction: int  # leaves held, partly into the postings, the rest back to available
    status: OrderStatus  # the order's after this trade
    user_sequence: int


class Traded(NamedTuple):
    """One trade at the resting side's price. `notional` is price x quantity, exact.

    `house_consumed` is how much of that side of the house's ladder is used up after the trade; None between users.
    """

    market: str
    base_asset: str
    quote_asset: str
    trade_number: int  # 1, 2, 3, ... over all markets
    tape_sequence: int  # 1, 2, 3, ... in this market
    taker_side: Side
    price: int
    quantity: int
    notional: int
    buyer: TradeSide
    seller: TradeSide
    house_consumed: int | None


class OrderRested(NamedTuple):
    """An order whose taking had been postponed is done with it and enters the book with what is left."""

    order_id: str
    market: str


class OrderClosed(NamedTuple):
    """An order ended before it was filled: cancelled, expired, or rejected when it was triggered.

    Its whole hold is back in available. A filled order has no such event: its last trade says so in
    `TradeSide.status`. `actor` is None where no one asked for it.
    """

    order_id: str
    user_id: str
    market: str
    status: OrderStatus
    reason: CloseReason
    hold_asset: str
    hold_reduction: int
    user_sequence: int
    actor: Actor | None


class NotCancelled(NamedTuple):
    """An order that a cancel of all had to leave open. `reason` as the cancel of it alone would be refused."""

    order_id: str
    market: str
    reason: str


class KeyUsed(NamedTuple):
    """A cancel's or amendment's idempotency key, remembered with its orders (a placed order's is in `OrderPlaced`).

    `not_cancelled` is for whoever tells a repeat the first reply: later nobody could say what was open and halted then.
    """

    user_id: str
    idempotency_key: str
    fingerprint: str
    order_ids: tuple[str, ...]
    not_cancelled: tuple[NotCancelled, ...] = ()


class UserSequence(NamedTuple):
    user_id: str
    sequence: int


class TransferPosted(NamedTuple):
    transfer_id: str
    transfer_number: int  # 1, 2, 3, ...
    business_key: str
    kind: str
    postings: tuple[Posting, ...]
    reason: str
    fingerprint: str
    user_sequences: tuple[UserSequence, ...]  # of the users among the owners, in the postings' order
    actor: Actor


class TransferHeld(NamedTuple):
    """The first phase of a transfer: what `postings` take away moves from available to held."""

    transfer_id: str
    transfer_number: int  # counts held and one-phase transfers alike
    business_key: str
    kind: str
    postings: tuple[Posting, ...]
    expires_milliseconds: int  # 0: never
    reason: str
    fingerprint: str
    user_sequences: tuple[UserSequence, ...]  # of the users whose money is held
    actor: Actor


class TransferSettled(NamedTuple):
    """A held transfer was posted: `postings` moved, the whole hold ended. What was held beyond them is available."""

    transfer_id: str  # of the hold
    hold_key: str
    business_key: str
    kind: str
    postings: tuple[Posting, ...]
    released: tuple[HoldChange, ...]
    reason: str
    fingerprint: str
    user_sequences: tuple[UserSequence, ...]  # of the users whose money moved or was released
    actor: Actor


class HoldEnd(StrEnum):
    """How a held transfer ended."""

    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


class TransferReleased(NamedTuple):
    """A held transfer was voided or has expired: everything held is available again. Nobody asks for an expiry, so it
    has neither business key nor actor.
    """

    transfer_id: str
    hold_key: str
    business_key: str
    end: HoldEnd
    kind: str
    released: tuple[HoldChange, ...]
    reason: str
    fingerprint: str
    user_sequences: tuple[UserSequence, ...]
    actor: Actor | None


class AssetFrozen(NamedTuple):
    """Withdrawals of the asset stop. That its markets stop too is in `MarketSet` events after this one."""

    asset: str
    actor: Actor
    reason: str


class AssetUnfrozen(NamedTuple):
    asset: str
    actor: Actor
    reason: str


class WorkPostponed(NamedTuple):
    """The command met its limit of fills. `Continue` goes on; until `WorkFinished` the market takes no new orders."""

    market: str


class WorkFinished(NamedTuple):
    market: str


Event = (
    BatchStarted
    | AssetSet
    | MarketSet
    | ReferencePriceSet
    | TradingPaused
    | TradingResumed
    | UserFeesSet
    | OrderPlaced
    | OrderTriggered
    | OrderAmended
    | Traded
    | OrderRested
    | OrderClosed
    | KeyUsed
    | TransferPosted
    | TransferHeld
    | TransferSettled
    | TransferReleased
    | AssetFrozen
    | AssetUnfrozen
    | WorkPostponed
    | WorkFinished
)
