"""What can be asked of the exchange. All amounts are integers in minor units of their asset, prices in quote minor
units per whole base unit, times in milliseconds since 1970.
"""

from typing import NamedTuple

from trading.domain.accounts import Posting
from trading.domain.amounts import SCALE_MAX
from trading.domain.markets import Asset, FeeRates, Market
from trading.domain.orders import OrderType, Side, TimeInForce


class Actor(NamedTuple):
    """Who asks, for the audit trail (M22). `user_id` is empty where a service acts on its own."""

    user_id: str
    credential_id: str  # the session or API key; for a service its name
    request_id: str
    received_from: str = ""  # the network address the request came from


class StartBatch(NamedTuple):
    """The first command of every batch. `number` follows the previous one; time never goes back."""

    number: int
    time_milliseconds: int


class PlaceOrder(NamedTuple):
    """Exactly one of `quantity` (base) and `quote_quantity` is above zero, the latter for orders without a limit alone.

    A buy's `quote_quantity` includes fees, a sell's is what is sold for before fees. `price` is 0 for an order without
    a limit; a market order's time in force is IOC or FOK. `stop_price` is above 0 for the types that wait for it,
    `expires_milliseconds` for GTD. An empty key is no key.
    """

    actor: Actor
    market: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: int = 0
    quote_quantity: int = 0
    price: int = 0
    post_only: bool = False
    client_order_id: str = ""
    idempotency_key: str = ""
    stop_price: int = 0
    expires_milliseconds: int = 0


class AmendOrder(NamedTuple):
    """Another limit, another quantity (what was filled included), or both; 0 leaves it as it is. Each in 10^-scale of
    its asset, with the largest scale there is where 63 bits hold that, else the largest at which they do: the market,
    whose own scale it would be, is for the exchange to find.

    The order keeps its place in the book where the price stays and the quantity does not grow; else it goes to the end
    of its new level, and takes first where its new price meets somebody.
    """

    actor: Actor
    order_id: str
    price: int = 0
    quantity: int = 0
    idempotency_key: str = ""
    price_scale: int = SCALE_MAX
    quantity_scale: int = SCALE_MAX


class CancelOrder(NamedTuple):
    actor: Actor
    order_id: str
    idempotency_key: str = ""


class CancelAll(NamedTuple):
    """All the actor's open orders, in one market or (empty) in every market."""

    actor: Actor
    market: str = ""
    idempotency_key: str = ""


class SetReferencePrice(NamedTuple):
    """A tick that matters: it enters before its first use. `received_milliseconds` is when the price stream last spoke
    of this market (also to say that nothing changed); `source_milliseconds` is the source's own time. `lowest` and
    `highest` are of the ticks that stood within the circuit breaker's window, which the journal does not hold; 0 where
    nothing is known.
    """

    market: str
    price: int
    source: str
    source_milliseconds: int
    received_milliseconds: int
    lowest: int = 0
    highest: int = 0


class Transfer(NamedTuple):
    """One movement between accounts, at most once per business key, for ever."""

    actor: Actor
    business_key: str
    kind: str  # what kind of movement, such as `practice_money`
    postings: tuple[Posting, ...]
    reason: str = ""


class HoldTransfer(NamedTuple):
    """The first phase of a movement: what its postings take from is held until the transfer is posted, voided or (at
    `expires_milliseconds`, where that is not 0) expires. Its business key names it in the second phase.
    """

    actor: Actor
    business_key: str
    kind: str
    postings: tuple[Posting, ...]
    expires_milliseconds: int = 0
    reason: str = ""


class PostTransfer(NamedTuple):
    """The second phase: moves what was held under `hold_key`, all of it or the part that `postings` name, and gives
    the rest back.
    """

    actor: Actor
    business_key: str
    hold_key: str
    postings: tuple[Posting, ...] = ()  # none: as they were held
    reason: str = ""


class VoidTransfer(NamedTuple):
    """The second phase: gives back what was held under `hold_key`."""

    actor: Actor
    business_key: str
    hold_key: str
    reason: str = ""


class ExpireTransfers(NamedTuple):
    """Gives back what is held beyond its time; one step, at most 500 transfers."""


class FreezeAsset(NamedTuple):
    """The reconciler's: the books do not add up. Withdrawals stop, and the asset's markets take cancels alone."""

    actor: Actor
    asset: str
    reason: str


class UnfreezeAsset(NamedTuple):
    """The operator's: somebody has looked. Markets stay as they are, to be opened one by one."""

    actor: Actor
    asset: str
    reason: str


class SetAsset(NamedTuple):
    """The operator's: a new asset, or another name for one. A scale never changes."""

    actor: Actor
    asset: Asset
    reason: str


class SetMarket(NamedTuple):
    """The operator's: a new market, or all rules of an existing one, its status included.

    `expected_version`, where it is above 0, is the version that the operator saw: another one refuses the change. So a
    key needs no longer memory than the exchange's: a repeat that comes later finds another version. `change` is what
    the operator asked for, as text: for the audit trail, and to tell a repeat from another change. `reference_price`
    is what the market's sources said last, as far as the leader heard: the rules are judged by it. 0 for nothing.
    """

    actor: Actor
    market: Market
    reason: str
    expected_version: int = 0
    idempotency_key: str = ""
    change: str = ""
    reference_price: int = 0


class AddAsset(NamedTuple):
    """The operator's: an asset that there is not yet. Nobody has any of it, and no market trades it."""

    actor: Actor
    asset: Asset
    reason: str
    idempotency_key: str = ""


class AddMarket(NamedTuple):
    """The operator's: a market that there is not yet. It takes no orders until `SetMarket` opens it. `change` and
    `reference_price` are as in `SetMarket`.
    """

    actor: Actor
    market: Market
    reason: str
    idempotency_key: str = ""
    change: str = ""
    reference_price: int = 0


class ResumeMarket(NamedTuple):
    """The operator's: ends a circuit breaker's pause before its time."""

    actor: Actor
    market: str
    reason: str


class SetUserFees(NamedTuple):
    """The operator's: a user's own rates in every market, or (None) the tiers again."""

    actor: Actor
    user_id: str
    rates: FeeRates | None
    reason: str


class Continue(NamedTuple):
    """Works on what an earlier command in this market had to postpone; one step, at most 500 fills."""

    market: str


class ExpireOrders(NamedTuple):
    """Closes orders of a market (of any, where it is empty) whose expiry is not after the batch's time; one step, at
    most 500 orders.
    """

    market: str = ""


Command = (
    StartBatch
    | PlaceOrder
    | AmendOrder
    | CancelOrder
    | CancelAll
    | SetReferencePrice
    | Transfer
    | HoldTransfer
    | PostTransfer
    | VoidTransfer
    | ExpireTransfers
    | FreezeAsset
    | UnfreezeAsset
    | SetAsset
    | SetMarket
    | AddAsset
    | AddMarket
    | ResumeMarket
    | SetUserFees
    | Continue
    | ExpireOrders
)
# What operators send with a key: a repeat is answered with the first one's events.
KeyedChange = SetMarket | AddAsset | AddMarket
