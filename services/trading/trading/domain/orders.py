"""What an order is, and all its legal lives in one table (M9)."""

from dataclasses import dataclass
from enum import StrEnum


class Word(StrEnum):
    """Hashed as the string that it is: an enum's own hash is a Python function, and a fill looks several words up."""

    __hash__ = str.__hash__


class Side(Word):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"  # becomes a market order when the reference price reaches its stop price: a loss is cut
    STOP_LIMIT = "stop_limit"  # becomes a limit order then
    TAKE_PROFIT = "take_profit"  # becomes a market order when the reference comes from the other side: a gain is taken


TRIGGERS = (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT)


class TimeInForce(StrEnum):
    GTC = "gtc"  # good till cancelled: what does not trade at once rests
    IOC = "ioc"  # immediate or cancel: what does not trade at once is cancelled
    FOK = "fok"  # fill or kill: all at once, or refused
    GTD = "gtd"  # good till date: rests, but not after its expiry


RESTING_TIMES = (TimeInForce.GTC, TimeInForce.GTD)


class Liquidity(Word):
    MAKER = "maker"  # was resting
    TAKER = "taker"  # came and took


class OrderStatus(Word):
    NEW = "new"  # a trigger that waits
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"  # accepted once, refused when triggered


class OrderStep(Word):
    """What can happen to an order."""

    TRIGGER = "trigger"
    REFUSE = "refuse"
    AMEND = "amend"
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
    EXPIRED = "expired"  # a GTD order's last moment came
    # An order that was accepted once and refused when it was triggered; the words are the refusals' own reasons.
    PRICE_BAND = "price_band"
    POST_ONLY_WOULD_TAKE = "post_only_would_take"
    FILL_OR_KILL_UNFILLED = "fill_or_kill_unfilled"
    BELOW_MIN_NOTIONAL = "below_min_notional"


# Members by bare names, for the hot path: read off its enum one costs 60 ns in Python 3.11, a global 2.
BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
GTD, FOK = TimeInForce.GTD, TimeInForce.FOK
MAKER, TAKER = Liquidity.MAKER, Liquidity.TAKER
USER = CloseReason.USER
NEW, OPEN, FILLED = OrderStatus.NEW, OrderStatus.OPEN, OrderStatus.FILLED

# (status, step) -> status. What is not here cannot happen.
LIFE: dict[tuple[OrderStatus, OrderStep], OrderStatus] = {
    (OrderStatus.NEW, OrderStep.TRIGGER): OrderStatus.OPEN,
    (OrderStatus.NEW, OrderStep.REFUSE): OrderStatus.REJECTED,
    (OrderStatus.NEW, OrderStep.AMEND): OrderStatus.NEW,
    (OrderStatus.NEW, OrderStep.CANCEL): OrderStatus.CANCELLED,
    (OrderStatus.NEW, OrderStep.EXPIRE): OrderStatus.EXPIRED,
    (OrderStatus.OPEN, OrderStep.AMEND): OrderStatus.OPEN,
    (OrderStatus.OPEN, OrderStep.FILL_PART): OrderStatus.PARTIALLY_FILLED,
    (OrderStatus.OPEN, OrderStep.FILL_REST): OrderStatus.FILLED,
    (OrderStatus.OPEN, OrderStep.CANCEL): OrderStatus.CANCELLED,
    (OrderStatus.OPEN, OrderStep.EXPIRE): OrderStatus.EXPIRED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.AMEND): OrderStatus.PARTIALLY_FILLED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.FILL_PART): OrderStatus.PARTIALLY_FILLED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.FILL_REST): OrderStatus.FILLED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.CANCEL): OrderStatus.CANCELLED,
    (OrderStatus.PARTIALLY_FILLED, OrderStep.EXPIRE): OrderStatus.EXPIRED,
}


def waits_for_a_rise(order_type: OrderType, side: Side) -> bool:
    """Whether the reference price has to come up to the stop price: so for a buy stop and a sell take-profit."""
    return (order_type is OrderType.TAKE_PROFIT) is (side is Side.SELL)


TERMINAL = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)


@dataclass(slots=True, eq=False)
class Order:
    """The live record of an order; only `evolve` changes it. All amounts in minor units.

    Prices are quote minor units per whole base unit. An order without a limit has `price` 0, one by quote amount has
    `quantity` 0, any other has `quote_quantity` 0, one that never waited has `stop_price` 0.
    """

    order_id: str
    order_number: int  # counts all orders and losses of priority; earlier is smaller
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
    # The worst price it may trade at: the limit, or the slippage cap around the reference price. A waiting buy by
    # quantity without a limit has the one that its hold was taken for, any other without a limit has 0 until triggered.
    protection_price: int
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
    stop_price: int = 0
    expires_milliseconds: int = 0  # of a GTD order
    priority: int = 0  # its time in price-time priority: its number, or a later one since it was triggered or amended
    amendments: int = 0
    close_reason: CloseReason | None = None

    @property
    def remaining_quantity(self) -> int:
        """Base still to trade; 0 for an order by quote amount, which has no such figure."""
        return self.quantity - self.filled_quantity if self.quantity else 0

    @property
    def may_rest(self) -> bool:
        return self.price > 0 and self.time_in_force in RESTING_TIMES


# `Order(...)` in two steps, for the hot path: Python 3.11 hands a class's arguments on twice before `__init__` has
# them, which is a quarter of what an order costs.
new_order, fill_in_order = Order.__new__, Order.__init__
