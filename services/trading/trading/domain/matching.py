"""Who an order trades with: users' orders by price, then age, and the house where it is strictly better."""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from trading.domain.by_position import by_position
from trading.domain.house import quotes
from trading.domain.markets import Market
from trading.domain.orders import BUY, SELL, Order, Side
from trading.domain.state import MarketState, Quotation


class Stop(Enum):
    """Why a walk through the book ended."""

    COMPLETE = "complete"  # nothing left to trade, or less than a lot's worth of a quote amount
    EXHAUSTED = "exhausted"  # nobody left up to the price limit
    SELF_TRADE = "self_trade"  # the next maker is the taker's own order
    FILL_LIMIT = "fill_limit"  # the rest is postponed


# Plain tuples: a named one takes eight times as long to make.
# (owner, side, worst price, quantity, notional): what is to be traded, `quantity` base, or, where that is 0, what
# `notional` buys or sells.
Taker = tuple[str, Side, int, int, int]
# (maker, price, quantity, notional); no maker is the house.
Fill = tuple[Order | None, int, int, int]


class Walk(NamedTuple):
    fills: Sequence[Fill]
    stop: Stop
    quantity: int  # sum of the fills
    notional: int


_walk = by_position(Walk)
NOTHING = Walk((), Stop.EXHAUSTED, 0, 0)  # of an order that meets nobody
_HOUSE: Iterable[None] = (None,)
_NO_QUOTE = (0, 0)
_NOWHERE = -(1 << 64)  # a key below that of any price
# By bare names as in `orders`.
COMPLETE, EXHAUSTED, SELF_TRADE, FILL_LIMIT = Stop.COMPLETE, Stop.EXHAUSTED, Stop.SELF_TRADE, Stop.FILL_LIMIT


def meets_nobody(state: MarketState, side: Side, worst_price: int, quotation: Quotation | None) -> bool:
    """Whether a walk would be `NOTHING`, as it is for most orders that rest, told without one."""
    if side is BUY:
        keys = state.asks.keys
        return (not keys or -keys[-1] > worst_price) and (quotation is None or quotation.best_ask > worst_price)
    keys = state.bids.keys
    return (not keys or keys[-1] < worst_price) and (quotation is None or quotation.best_bid < worst_price)


def walk(
    state: MarketState, taker: Taker, quotation: Quotation | None, time_milliseconds: int, fill_limit: int
) -> Walk:
    """Reads only. `quotation` None leaves the house out."""
    # No generator of levels: one that is left unfinished takes Python 3.11 twice as long as one that ends.
    owner, side, worst_price, quantity_wanted, notional_wanted = taker
    market = state.market
    unit = market.base_unit
    book, worst_key = (state.asks, -worst_price) if side is BUY else (state.bids, worst_price)
    levels, sign = book.levels, book.sign
    keys = reversed(book.keys)
    key = next(keys, _NOWHERE)
    house, house_key = _house_in_reach(state, side, worst_key, quotation, time_milliseconds)
    house_price, house_offers = _NO_QUOTE
    by_quantity = quantity_wanted > 0
    left = quantity_wanted or notional_wanted
    fills: list[Fill] = []
    stop = EXHAUSTED
    quantity_sum = notional_sum = 0
    while stop is EXHAUSTED and (key >= worst_key or house_key >= worst_key):
        if key >= house_key:
            price = key * sign
            makers: Iterable[Order | None] = levels[price].values()
            key = next(keys, _NOWHERE)
        else:
            price, offered = house_price, house_offers
            makers = _HOUSE if offered else ()
            house_price, house_offers = next(house, _NO_QUOTE)
            house_key = house_price * sign if house_offers else _NOWHERE
        for maker in makers:
            if maker is not None:
                if maker.owner == owner:
                    stop = SELF_TRADE
                    break
                offered = maker.quantity - maker.filled_quantity
            wanted = left if by_quantity else _lots_within(left, price, market)
            if not wanted:
                stop = COMPLETE
                break
            if len(fills) == fill_limit:
                stop = FILL_LIMIT
                break
            quantity = offered if offered < wanted else wanted  # noqa: FURB136 - a tenth of min()'s time
            notional = price * quantity // unit
            fills.append((maker, price, quantity, notional))
            quantity_sum += quantity
            notional_sum += notional
            left -= quantity if by_quantity else notional
            if not (left if by_quantity else _lots_within(left, price, market)):
                stop = COMPLETE
                break
    return _walk(fills, stop, quantity_sum, notional_sum)


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


def _lots_within(notional: int, price: int, market: Market) -> int:
    """The quantity, in whole lots, that the notional buys or sells at that price."""
    quantity = notional * market.base_unit // price
    return quantity - quantity % market.lot


# (its quotes, best first; a key that none of them passes). While users are better than that, its ladder need not be
# worked out.
_House = tuple[Iterator[tuple[int, int]], int]
_NO_HOUSE: _House = (iter(()), _NOWHERE)


def _house_in_reach(
    state: MarketState, side: Side, worst_key: int, quotation: Quotation | None, time_milliseconds: int
) -> _House:
    if quotation is None:
        return _NO_HOUSE
    key, maker_side = (-quotation.best_ask, SELL) if side is BUY else (quotation.best_bid, BUY)
    if key < worst_key:
        return _NO_HOUSE
    return quotes(state, quotation, maker_side, time_milliseconds, clipped=True), key
