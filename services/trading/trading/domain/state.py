"""Everything the exchange knows, in one place. Only `evolve` changes it; `decide` and queries read."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from trading.domain.accounts import Account, Posting
from trading.domain.book import BookSide
from trading.domain.events import ReferencePriceSet
from trading.domain.markets import OPEN_ORDERS_MAX, TRADING, Asset, FeeRates, Market
from trading.domain.orders import Order, Side, waits_for_a_rise
from trading.domain.traded_volume import TradedVolume
from trading.domain.waiting import WaitingOrders


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of decisions; no part of the state, since folding events needs none of them."""

    # Memory holds the keys of this many batches (K), but no more than so many keys; all others are in the projection.
    remembered_batches: int = 20_000
    remembered_keys: int = 200_000  # some 130 MB; at 1,000 orders a second what came in the last three minutes
    open_orders_per_user: int = OPEN_ORDERS_MAX  # over all markets, each of which has a limit of its own
    fills_per_command: int = 500  # keeps a batch below 1 MiB and other callers' wait short; docs/api/README.md names it
    postings_per_transfer: int = 100
    pending_transfers_per_user: int = 100  # far above what anybody withdraws at once
    expiries_per_command: int = 500
    amendments_per_order: int = 200  # an order's row keeps them all


class RememberedKey(NamedTuple):
    """What a key stands for. `order_ids` or `transfer_id` is the effect it had."""

    fingerprint: str  # of an ended hold: how it ended
    batch: int
    order_ids: tuple[str, ...]
    transfer_id: str
    idempotency_key: str  # of the order


# (owner, key) of an idempotency key or client order id, ("", key) of a business key
KeyName = tuple[str, str]


@dataclass(slots=True, eq=False)
class RememberedKeys:
    """The keys of the last batches, by kind; `by_age` lists them as they came, for eviction by batch number."""

    idempotency: dict[KeyName, RememberedKey] = field(default_factory=dict)
    client_order: dict[KeyName, RememberedKey] = field(default_factory=dict)
    business: dict[KeyName, RememberedKey] = field(default_factory=dict)
    # Held transfers that are pending no more, by their own business key.
    ended_hold: dict[KeyName, RememberedKey] = field(default_factory=dict)
    by_age: deque[tuple[int, str, KeyName]] = field(default_factory=deque)
    # As of which oldest batch somebody last looked for keys of more than a day, and until when there is none; see
    # `start_batch`. No part of the state.
    looked_at: int = 0
    young_until_milliseconds: int = 0

    @property
    def by_kind(self) -> dict[str, dict[KeyName, RememberedKey]]:
        return {
            "idempotency": self.idempotency,
            "client_order": self.client_order,
            "business": self.business,
            "ended_hold": self.ended_hold,
        }


class PendingTransfer(NamedTuple):
    """A transfer in its first phase. What its postings take away is held until it is posted, voided or expired."""

    transfer_id: str
    transfer_number: int
    hold_key: str
    kind: str
    expires_milliseconds: int  # 0: never
    held_milliseconds: int
    postings: tuple[Posting, ...]

    @property
    def holders(self) -> tuple[str, ...]:
        """The owners whose money is held."""
        return tuple(dict.fromkeys(posting.owner for posting in self.postings if posting.amount < 0))


@dataclass(slots=True, eq=False)
class Owner:
    """A user or a system account holder."""

    name: str
    user_id: str  # empty for a system owner
    accounts: dict[str, Account] = field(default_factory=dict)  # by asset code
    orders: dict[str, Order] = field(default_factory=dict)  # open ones, oldest first
    pending: dict[str, PendingTransfer] = field(default_factory=dict)  # that hold something of this owner's
    sequence: int = 0  # the newest of this user's events
    last_batch: int = 0  # the newest batch that concerned this user
    volumes: dict[str, TradedVolume] = field(default_factory=dict)  # by quote asset
    fee_rates: FeeRates | None = None  # the user's own, instead of any tier


@dataclass(slots=True, eq=False)
class HouseDepth:
    """How much of one side of the house's ladder was used up when it last traded; it refills with journal time."""

    consumed: int = 0
    as_of_milliseconds: int = 0


class Quotation(NamedTuple):
    """What the house quotes around, while it may quote at all."""

    reference_price: int
    half_spread_basis_points: int
    best_bid: int  # no quote is better; used depth, inventory and clipping only make it worse
    best_ask: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What a market's rules and its own reference come to: the same for all its orders until one of the two changes."""

    market: Market
    reference: ReferencePriceSet
    quotation: Quotation | None  # none around the price of a source that the market takes no longer
    fresh_until_milliseconds: int  # after that time nobody may trade on it
    lowest_price: int  # the price band
    highest_price: int
    worst_price_of_buys: int  # the slippage cap of orders without a limit
    worst_price_of_sells: int


@dataclass(slots=True, eq=False)
class MarketState:
    market: Market
    bids: BookSide = field(default_factory=lambda: BookSide(Side.BUY))
    asks: BookSide = field(default_factory=lambda: BookSide(Side.SELL))
    # Orders with a stop price, see `queue_of`.
    waiting_for_a_rise: WaitingOrders = field(default_factory=WaitingOrders)
    waiting_for_a_fall: WaitingOrders = field(default_factory=WaitingOrders)
    expiries: WaitingOrders = field(default_factory=WaitingOrders)  # those with an expiry, by it
    reference: ReferencePriceSet | None = None
    house_bid: HouseDepth = field(default_factory=HouseDepth)  # what the house buys
    house_ask: HouseDepth = field(default_factory=HouseDepth)
    house_position: int = 0  # base minor units the house bought less what it sold in this market
    tape_sequence: int = 0
    taking: Order | None = None  # an order whose taking is not finished; between commands only while postponed
    postponed: bool = False  # `Continue` has work here
    version: int = 0  # counts the changes of its rules, so that two operators cannot undo each other unseen
    frame: Frame | None = None  # see there; no part of the state
    paused_until_milliseconds: int = 0  # the circuit breaker tripped; also the time before which no price counts for it
    # The exchange's own: what the house can give is in its accounts. Empty where a book stands by itself.
    owners: dict[str, Owner] = field(default_factory=dict)

    def has_expiry_due(self, time_milliseconds: int) -> bool:
        """Has an order's last moment come? Then `ExpireOrders` comes before anything that may trade here."""
        due = self.expiries.first_key
        return due is not None and due <= time_milliseconds

    def trades_at(self, time_milliseconds: int) -> bool:
        """May anything trade here: neither the operator nor the circuit breaker has stopped it."""
        return self.market.status is TRADING and self.paused_until_milliseconds <= time_milliseconds

    def queue_of(self, order: Order) -> tuple[WaitingOrders, int]:
        """Where an order waits for the reference price, and its key there: who is reached first has the smallest."""
        if waits_for_a_rise(order.order_type, order.side):
            return self.waiting_for_a_rise, order.stop_price
        return self.waiting_for_a_fall, -order.stop_price


@dataclass(slots=True, eq=False)
class ExchangeState:
    limits: Limits = field(default_factory=Limits)
    batch_number: int = 0
    batch_milliseconds: int = 0
    order_number: int = 0
    trade_number: int = 0
    transfer_number: int = 0
    assets: dict[str, Asset] = field(default_factory=dict)
    markets: dict[str, MarketState] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)  # markets with postponed work, so that nobody looks through all
    owners: dict[str, Owner] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)  # open ones
    pending_transfers: dict[str, PendingTransfer] = field(default_factory=dict)  # by business key
    # (time, number, business key) of those that expire, the next one first
    expiring_transfers: list[tuple[int, int, str]] = field(default_factory=list)
    frozen_assets: dict[str, str] = field(default_factory=dict)  # why, by asset
    expiries: WaitingOrders = field(default_factory=WaitingOrders)  # those of all markets
    keys: RememberedKeys = field(default_factory=RememberedKeys)
    # Terminal orders of the current batch with their final figures, for replies and rows. Not part of snapshot or hash.
    closed_in_batch: dict[str, Order] = field(default_factory=dict)
