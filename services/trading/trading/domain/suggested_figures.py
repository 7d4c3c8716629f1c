"""What suggestions are measured by: what an order is worth, whom it meets, what is kept of limits that move."""

from trading.domain.accounts import owner_of_user
from trading.domain.commands import PlaceOrder
from trading.domain.fees import fee_rates
from trading.domain.house import fresh_quotation
from trading.domain.markets import BASIS_POINTS, FeeRates, Market
from trading.domain.matching import Stop, Walk, walk
from trading.domain.order_rules import price_band, protection_price
from trading.domain.orders import Side
from trading.domain.settlement import notional_within
from trading.domain.state import ExchangeState

# The price has moved on by some ticks when the suggestion comes back: of each limit that moves with it this is kept.
_DISTANCE_BASIS_POINTS = 5


def market_of(state: ExchangeState, command: PlaceOrder) -> Market:
    return state.markets[command.market].market


def measure_of(state: ExchangeState, command: PlaceOrder) -> int:
    """The price that the order is valued at; 0 where there is none yet. Of the live one a little less: the smallest
    order grows and the largest shrinks by it.
    """
    reference = state.markets[command.market].reference
    live = reference.price if reference is not None else 0
    return command.price or command.stop_price or live - share(live)


def smallest_quantity(state: ExchangeState, command: PlaceOrder) -> int:
    market, price = market_of(state, command), measure_of(state, command)
    if not price:
        return market.lot
    return -(-market.minimum_notional * market.base_unit // (price * market.lot)) * market.lot


def quantity_for(state: ExchangeState, command: PlaceOrder, price: int) -> int:
    """What the order's quote amount pays for or brings at that price, in whole lots, at least one."""
    market, worth = market_of(state, command), command.quote_quantity
    if command.side is Side.BUY:
        worth = notional_within(worth, max(_rates(state, command)))  # of a buy it includes the fee
    quantity = worth * market.base_unit // price
    return max(market.lot, quantity - quantity % market.lot)


def _rates(state: ExchangeState, command: PlaceOrder) -> FeeRates:
    owner = state.owners.get(owner_of_user(command.actor.user_id))
    return fee_rates(owner, market_of(state, command), state.batch_milliseconds)


def inside_the_band(market: Market, reference_price: int, price: int) -> int:
    """The price within the band that is the nearest to `price` and will be within the band in a moment, too."""
    lowest, highest = _inner_band(market, reference_price)
    return min(max(price, lowest), highest)


def at_a_distance(market: Market, reference_price: int, side: Side, nearest: int) -> int:
    """For a maker beside the best opposite price, whose nearest price is `nearest`: one that will still rest in a
    moment. Within the price band, where the nearest is.
    """
    lowest, highest = _inner_band(market, reference_price)
    if side is Side.BUY:
        return max(nearest - distance_at(market, nearest), min(nearest, lowest))
    return min(nearest + distance_at(market, nearest), max(nearest, highest))


def _inner_band(market: Market, reference_price: int) -> tuple[int, int]:
    lowest, highest = price_band(market, reference_price)
    inner_lowest = lowest + distance_at(market, lowest) + market.tick
    inner_highest = highest - distance_at(market, highest) - market.tick
    # A band of a few ticks has no room for it.
    return (inner_lowest, inner_highest) if inner_lowest <= inner_highest else (lowest, highest)


def share(amount: int) -> int:
    """What a figure that goes with the live price may be wrong by in a moment."""
    return amount * _DISTANCE_BASIS_POINTS // BASIS_POINTS


def distance_at(market: Market, price: int) -> int:
    return price * _DISTANCE_BASIS_POINTS // (BASIS_POINTS * market.tick) * market.tick


def is_paid_at_the_market(command: PlaceOrder) -> bool:
    """Whether what it has to hold moves with the price: it names the one asset and pays with the other."""
    if command.price or command.stop_price:
        return False
    return (command.side is Side.BUY) == (command.quantity > 0)


def proceeds(state: ExchangeState, command: PlaceOrder, quantity: int) -> int:
    """The quote amount that sells no more than that at the market; what is postponed counts at the worst price."""
    if not quantity:
        return 0
    market, taken = market_of(state, command), market_walk(state, command, quantity)
    postponed = quantity - taken.quantity if taken.stop is Stop.FILL_LIMIT else 0
    return taken.notional + market.notional(_worst_price(state, command), postponed)


def market_walk(state: ExchangeState, command: PlaceOrder, quantity: int) -> Walk:
    """Whom a market order of that quantity meets."""
    market_state, now = state.markets[command.market], state.batch_milliseconds
    quotation = fresh_quotation(market_state.market, market_state.reference, now)
    taker = (owner_of_user(command.actor.user_id), command.side, _worst_price(state, command), quantity, 0)
    return walk(market_state, taker, quotation, now, state.limits.fills_per_command)


def _worst_price(state: ExchangeState, command: PlaceOrder) -> int:
    reference = state.markets[command.market].reference
    return protection_price(market_of(state, command), reference.price, command.side) if reference is not None else 0
