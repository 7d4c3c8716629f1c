"""Who an order trades with: users' orders by price, then age, and the house where it is strictly better."""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from trading.domain.house import Quotation, best_ladder_price, quotes
from trading.domain.orders import Order, Side
from trading.domain.state import MarketState


class Stop(Enum):
    """Why a walk through the book ended."""

    COMPLETE = "complete"  # nothing left to trade, or less than a lot's worth of a quote amount
    EXHAUSTED = "exhausted"  # nobody left up to the price limit
    SELF_TRADE = "self_trade"  # the next maker is the taker's own order
    FILL_LIMIT = "fill_limit"  # the rest is postponed


class Fill(NamedTuple):
    maker: Order | None  # None: the house
    price: int
    quantity: int
    notional: int


class Walk(NamedTuple):
    fills: Sequence[Fill]
    stop: Stop
    quantity: int  # sum of the fills
    notional: int


class Taker(NamedTuple):
    """What is to be traded: `quantity` base, or, where that is 0, what `notional` buys or sells."""

    owner: str
    side: Side
    worst_price: int
    quantity: int
    notional: int


_NOTHING = Walk((), Stop.EXHAUSTED, 0, 0)


def walk(
    state: MarketState, taker: Taker, quotation: Quotation | None, time_milliseconds: int, fill_limit: int
) -> Walk:
    """Reads only. `quotation` None leaves the house out."""
    market = state.market
    if _out_of_reach(state, taker, quotation):
        return _NOTHING
    lot, unit = market.lot, market.base_unit
    by_quantity = taker.quantity > 0
    left = taker.quantity or taker.notional
    fills: list[Fill] = []
    quantity_sum = notional_sum = 0
    for maker, price, offered in _offers(state, taker, quotation, time_milliseconds):
        if maker is not None and maker.owner == taker.owner:
            return Walk(fills, Stop.SELF_TRADE, quantity_sum, notional_sum)
        if by_quantity:
            quantity = min(offered, left)
        else:
            affordable = left * unit // price
            quantity = min(offered, affordable - affordable % lot)
            if quantity == 0:
                return Walk(fills, Stop.COMPLETE, quantity_sum, notional_sum)
        if len(fills) == fill_limit:
            return Walk(fills, Stop.FILL_LIMIT, quantity_sum, notional_sum)
        notional = price * quantity // unit
        fills.append(Fill(maker, price, quantity, notional))
        quantity_sum += quantity
        notional_sum += notional
        left -= quantity if by_quantity else notional
        if left == 0 or (not by_quantity and left * unit // price < lot):
            return Walk(fills, Stop.COMPLETE, quantity_sum, notional_sum)
    return Walk(fills, Stop.EXHAUSTED, quantity_sum, notional_sum)


def _out_of_reach(state: MarketState, taker: Taker, quotation: Quotation | None) -> bool:
    """True where nobody can be offering up to the worst price: so it is for most orders that rest."""
    buying = taker.side is Side.BUY
    book = state.asks if buying else state.bids
    if book.keys and book.keys[-1] >= taker.worst_price * book.sign:
        return False
    if quotation is None or state.market.house.levels == 0:
        return True
    best = best_ladder_price(state.market, quotation, Side.SELL if buying else Side.BUY)
    return best > taker.worst_price if buying else best < taker.worst_price


def best_offer(state: MarketState, side: Side, quotation: Quotation | None, time_milliseconds: int) -> int | None:
    """The best price a taker of that side would meet now."""
    opposite = state.asks if side is Side.BUY else state.bids
    best = opposite.best_price
    if quotation is not None:
        maker_side = Side.SELL if side is Side.BUY else Side.BUY
        for price, _ in quotes(state, quotation, maker_side, time_milliseconds, clipped=True):
            if best is None or (price < best if side is Side.BUY else price > best):
                return price
            break
    return best


def _offers(
    state: MarketState, taker: Taker, quotation: Quotation | None, time_milliseconds: int
) -> Iterator[tuple[Order | None, int, int]]:
    """(maker, price, quantity) up to the taker's worst price, in the order in which they trade."""
    buying = taker.side is Side.BUY
    side = state.asks if buying else state.bids
    sign = side.sign
    worst_key = taker.worst_price * sign  # keys grow towards the best price
    maker_side = Side.SELL if buying else Side.BUY
    house = quotes(state, quotation, maker_side, time_milliseconds, clipped=True) if quotation is not None else iter(())
    quote = next(house, None)
    for key in reversed(side.keys):
        while quote is not None and quote[0] * sign > key:
            if quote[0] * sign < worst_key:
                return
            yield None, quote[0], quote[1]
            quote = next(house, None)
        if key < worst_key:
            return
        price = key * sign
        for order in side.levels[key].values():
            yield order, price, order.quantity - order.filled_quantity
    while quote is not None and quote[0] * sign >= worst_key:
        yield None, quote[0], quote[1]
        quote = next(house, None)
