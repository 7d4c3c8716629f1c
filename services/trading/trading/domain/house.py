"""The house's quotes: a ladder around the reference price, with depth that is used up and refills with journal time.

Used depth is one number per side, counted from the best level outwards, so it stays meaningful when the ladder moves
with the reference price.
"""

from collections.abc import Iterator

from trading.domain.events import ReferencePriceSet
from trading.domain.issue import room_of_house
from trading.domain.markets import BASIS_POINTS, Market, PriceSource
from trading.domain.orders import BUY, SELL, Order, Side
from trading.domain.state import HouseDepth, MarketState, Quotation


def price_source(market: Market, name: str) -> PriceSource | None:
    for source in market.sources:
        if source.name == name:
            return source
    return None


def fresh_quotation(market: Market, reference: ReferencePriceSet | None, time_milliseconds: int) -> Quotation | None:
    """None when the reference is missing or too old for that time."""
    if reference is None or time_milliseconds - reference.received_milliseconds > market.silence_limit_milliseconds:
        return None
    source = price_source(market, reference.source)
    if source is None or time_milliseconds - reference.source_milliseconds > source.maximum_age_milliseconds:
        return None
    half_spread = market.house.half_spread_basis_points + source.extra_half_spread_basis_points
    return quotation_around(market, reference.price, half_spread)


def quotation_around(market: Market, reference_price: int, half_spread_basis_points: int) -> Quotation:
    return Quotation(
        reference_price,
        half_spread_basis_points,
        ladder_price(market, reference_price, half_spread_basis_points, BUY),
        ladder_price(market, reference_price, half_spread_basis_points, SELL),
    )


def reference_age(market: Market, reference: ReferencePriceSet, time_milliseconds: int) -> tuple[int, int]:
    """(age, limit): of the stream's silence if that is too long, else of the source's own time."""
    silence = time_milliseconds - reference.received_milliseconds
    if silence > market.silence_limit_milliseconds:
        return silence, market.silence_limit_milliseconds
    source = price_source(market, reference.source)
    return time_milliseconds - reference.source_milliseconds, source.maximum_age_milliseconds if source else 0


def ladder_price(market: Market, reference_price: int, offset_basis_points: int, side: Side) -> int:
    """What the house bids (BUY) or asks (SELL) that far from the reference, on the tick, rounded away from it."""
    unit = BASIS_POINTS * market.tick
    if side is SELL:
        return -(-reference_price * (BASIS_POINTS + offset_basis_points) // unit) * market.tick
    return reference_price * (BASIS_POINTS - offset_basis_points) // unit * market.tick


def consumed(depth: HouseDepth, refill_per_second: int, time_milliseconds: int) -> int:
    refilled = (time_milliseconds - depth.as_of_milliseconds) * refill_per_second // 1_000
    return max(0, depth.consumed - refilled)


def quotes(
    state: MarketState, quotation: Quotation, side: Side, time_milliseconds: int, *, clipped: bool
) -> Iterator[tuple[int, int]]:
    """(price, quantity) of what the house bids (BUY) or asks (SELL), best first, without what is used up or would pass
    its inventory limit or what the ledger can hold. Clipped, the quotes stay one tick away from users' orders that they
    would otherwise cross.
    """
    market = state.market
    house = market.house
    if side is SELL:
        skipped = consumed(state.house_ask, house.refill_per_second, time_milliseconds)
        capacity = min(house.inventory_limit + state.house_position, room_of_house(state.owners, market.base))
        opposite = state.bids.best_price if clipped else None
    else:
        skipped = consumed(state.house_bid, house.refill_per_second, time_milliseconds)
        # It pays no more than the reference price.
        room = room_of_house(state.owners, market.quote) * market.base_unit // quotation.reference_price
        capacity = min(house.inventory_limit - state.house_position, room)
        opposite = state.asks.best_price if clipped else None
    reference_price, offset, _, _ = quotation
    level_quantity, lot = house.level_quantity, market.lot
    for level in range(house.levels):
        quantity = level_quantity
        if skipped >= quantity:
            skipped -= quantity
            continue
        quantity = min(quantity - skipped, capacity)
        skipped = 0
        quantity -= quantity % lot
        if quantity <= 0:
            continue
        capacity -= quantity
        price = ladder_price(market, reference_price, offset + level * house.step_basis_points, side)
        if opposite is not None:
            price = max(price, opposite + market.tick) if side is SELL else min(price, opposite - market.tick)
        if price <= 0:
            return
        yield price, quantity


def crossed_orders(state: MarketState, quotation: Quotation, time_milliseconds: int) -> Iterator[tuple[Order, int]]:
    """(order, quantity) that the house would fill: resting orders whose limit its ladder has reached, best first."""
    for book, house_side, best_quote in (
        (state.bids, SELL, quotation.best_ask),
        (state.asks, BUY, quotation.best_bid),
    ):
        sign = book.sign
        if not book.keys or book.keys[-1] < best_quote * sign:
            continue  # as nearly always: nobody's limit comes near, so neither ladder nor orders are walked
        ladder = quotes(state, quotation, house_side, time_milliseconds, clipped=False)
        price, offered = next(ladder, (0, 0))
        for order in book.orders():
            left = order.quantity - order.filled_quantity
            taken = 0
            while left and offered and price * sign <= order.price * sign:
                quantity = min(left, offered)
                left -= quantity
                taken += quantity
                offered -= quantity
                if not offered:
                    price, offered = next(ladder, (0, 0))
            if taken:
                yield order, taken
            if left:
                break
