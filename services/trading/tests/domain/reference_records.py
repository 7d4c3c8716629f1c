"""What the naive engine remembers, and how it rounds."""

from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

EXACT = Context(prec=80, traps=[Inexact, InvalidOperation, Overflow])
MINOR = Decimal("0.00000001")
ZERO = Decimal(0)


@dataclass
class Rules:
    symbol: str
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    minimum_notional: Decimal
    maximum_quantity: Decimal
    maker_fee: Decimal  # shares, not basis points
    taker_fee: Decimal
    band: Decimal
    slippage: Decimal
    levels: int
    half_spread: Decimal
    step: Decimal
    level_quantity: Decimal
    inventory_limit: Decimal
    refill_per_second: Decimal
    source_age: int
    silence: int
    open_orders: int
    tiers: list[tuple[Decimal, Decimal, Decimal]]  # volume from, maker's and taker's share
    jump: Decimal  # a share; the circuit breaker's
    jump_window: int
    pause: int


@dataclass
class Request:
    user: str
    market: str
    side: str
    kind: str
    time_in_force: str
    quantity: Decimal = ZERO
    quote_quantity: Decimal = ZERO
    price: Decimal = ZERO
    post_only: bool = False
    stop: Decimal = ZERO
    expires: int = 0


@dataclass
class Resting:
    number: int
    user: str
    market: str
    side: str
    price: Decimal
    quantity: Decimal
    maker_fee: Decimal  # the shares of the moment when it was placed
    taker_fee: Decimal
    request: Request
    priority: int
    waits: bool = False  # for the reference to reach its stop price
    worst: Decimal = ZERO  # what a waiting buy by quantity without a limit is held for
    filled: Decimal = ZERO
    exact_fee: Decimal = ZERO
    paid_fee: Decimal = ZERO


@dataclass
class Book:
    rules: Rules
    reference: Decimal | None = None
    source_time: int = 0
    received_time: int = 0
    used: dict[str, Decimal] = field(default_factory=lambda: {"buy": ZERO, "sell": ZERO})
    used_at: dict[str, int] = field(default_factory=lambda: {"buy": 0, "sell": 0})
    position: Decimal = ZERO
    status: str = "trading"
    paused_until: int = 0


# market, price, quantity, buyer, buyer's fee, seller, seller's fee
Trade = tuple[str, Decimal, Decimal, str, Decimal, str, Decimal]
# order number, status, reason
Closing = tuple[int, str, str]
# fills, whether nothing is left to do, whether the next maker is the taker itself
Plan = tuple[list[tuple[Decimal, Decimal, Resting | None]], bool, bool]


class RefusedError(Exception):
    pass


def worse_or_equal(side: str, price: Decimal, limit: Decimal) -> bool:
    """Whether a taker with that limit accepts the price."""
    return price <= limit if side == "buy" else price >= limit


def round_down(value: Decimal, step: Decimal) -> Decimal:
    return value - value % step


def round_up(value: Decimal, step: Decimal) -> Decimal:
    return -round_down_towards_minus(-value, step)


def round_down_towards_minus(value: Decimal, step: Decimal) -> Decimal:
    rest = value % step
    return value - rest - (step if rest < 0 else ZERO)


def round_down_ratio(amount: Decimal, price: Decimal, lot: Decimal) -> Decimal:
    """The largest multiple of the lot worth at most `amount` at that price."""
    return (amount // (price * lot)) * lot
