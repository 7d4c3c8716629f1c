"""What an order is, and all its legal lives in one table (M9)."""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    GTC = "gtc"  # good till cancelled: what does not trade at once rests
    IOC = "ioc"  # immediate or cancel: what does not trade at once is cancelled
    FOK = "fok"  # fill or kill: all at once, or refused


class Liquidity(StrEnum):
    MAKER = "maker"  # was resting
    TAKER = "taker"  # came and took


class OrderStatus(StrEnum):
    NEW = "new"  # a trigger that waits
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"  # accepted once, refused when triggered


class OrderStep(StrEnum):
    """What can happen to an order."""

    TRIGGER = "trigger"
    REFUSE = "refuse"
    FILL_PART = "fill_part"
    FILL_REST = "fill_rest"
    CANCEL = "cancel"
    EXPIRE = "expire"


class CloseReason(StrEnum):
    """Why an order ended before it was filled."""

    USER = "user"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"  # an IOC's rest
    NO_LIQUIDITY = "no_liquidity"  # a market order's rest: nobody was left up to the price protection
    SELF_TRADE = "self_trade"  # its next fill would have been against its own owner's resting order
    MARKET_CLOSED = "market_closed"  # the operator stopped the market while work was postponed


# (status, step) -> status. What is not here cannot happen.
LIFE: dict[tuple[OrderStatus, OrderStep], OrderStatus] = {
    (OrderStatus.NEW, OrderStep.TRIGGER): OrderStatus.OPEN,
    (OrderStatus.NEW, OrderStep.REFUSE): OrderStatus.REJECTED,
    (OrderStatus.NEW, OrderStep.CANCEL): OrderStatus.CANCELLED,
    (OrderStatus.NEW, OrderStep.EXPIRE): OrderStatus.EXPIRED,
    (OrderStatus.OPEN, OrderStep.FILL_PART): OrderStatus.PARTIALLY_FILLED,
    (OrderStatus.OPEN, OrderStep.FILL_REST): OrderStatus.FILLED,
    (OrderStatus.OPEN, OrderStep.CANCEL): OrderStatus.CANCELLED,
    (OrderStatus.OPEN, OrderStep.EXPIRE): OrderStatus.EXPIRED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.FILL_PART): OrderStatus.PARTIALLY_FILLED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.FILL_REST): OrderStatus.FILLED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.CANCEL): OrderStatus.CANCELLED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.EXPIRE): OrderStatus.EXPIRED,
}

TERMINAL = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)


@dataclass(slots=True, eq=False)
class Order:
    """The live record of an order; only `evolve` changes it. All amounts in minor units.

    `price` and `protection_price` are quote minor units per whole base unit. A market order has `price` 0, an order by
    quote amount has `quantity` 0, any other order has `quote_quantity` 0.
    """

    order_id: str
    order_number: int  # counts all orders; earlier is smaller, so it is the time in price-time priority
    user_id: str
    owner: str
    client_order_id: str
    market: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    quantity: int
    quote_quantity: int
    price: int
    protection_price: int  # the worst price it may trade at: the limit, or the slippage cap of a market order
    maker_fee_basis_points: int  # fixed when placed, so that the hold always covers the fee
    taker_fee_basis_points: int
    hold: int  # what its owner's `held` has for it: quote for a buy, base for a sell
    status: OrderStatus
    resting: bool  # in the book; an order that is still taking is not
    created_milliseconds: int
    updated_milliseconds: int
    filled_quantity: int = 0
    filled_notional: int = 0  # sum of price x quantity of its fills, without fees
    fee_numerator: int = 0  # the exact fee so far, in 1/10,000 of a minor unit
    fees: int = 0  # what was taken: fee_numerator / 10,000 rounded up
    close_reason: CloseReason | None = None

    @property
    def remaining_quantity(self) -> int:
        """Base still to trade; 0 for an order by quote amount, which has no such figure."""
        return self.quantity - self.filled_quantity if self.quantity else 0
