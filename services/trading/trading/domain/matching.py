"""Who an order trades with: users' orders by price, then age, and the house where it is strictly better."""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from trading.domain.book import BookSide
from trading.domain.by_position import by_position
from trading.domain.house import quotes
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
    owner, side, worst_price, quantity_wanted, notional_wanted = taker
    market = state.market
    lot, unit = market.lot, market.base_unit
    by_quantity = quantity_wanted > 0
    left = quantity_wanted or notional_wanted
    fills: list[Fill] = []
    stop = EXHAUSTED
    quantity_sum = notional_sum = 0
    for price, makers, house_offers in _in_reach(state, side, worst_price, quotation, time_milliseconds):
        for maker in makers:
            if maker is None:
                offered = house_offers
            elif maker.owner == owner:
                stop = SELF_TRADE
                break
            else:
                offered = maker.quantity - maker.filled_quantity
            if by_quantity:
                wanted = left
            else:
                wanted = left * unit // price
                wanted -= wanted % lot
                if wanted == 0:
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
            if not left or (not by_quantity and left * unit // price < lot):
                stop = COMPLETE
                break
        if stop is not EXHAUSTED:
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


_Level = tuple[int, Iterable[Order | None], int]  # price, makers, what the house offers


def _in_reach(
    state: MarketState, side: Side, worst_price: int, quotation: Quotation | None, time_milliseconds: int
) -> Iterator[_Level]:
    """What a taker of that side may meet up to the worst price, in the order in which they trade."""
    if side is BUY:
        book, maker_side, worst_key = state.asks, SELL, -worst_price  # keys grow towards the best price
    else:
        book, maker_side, worst_key = state.bids, BUY, worst_price
    if quotation is not None:
        house_key = -quotation.best_ask if side is BUY else quotation.best_bid
        if house_key >= worst_key:
            house = quotes(state, quotation, maker_side, time_milliseconds, clipped=True)
            return _levels_with_house(book, worst_key, house, house_key)
    return _levels(book, worst_key)


def _levels(book: BookSide, worst_key: int) -> Iterator[_Level]:
    """Of users alone. By level: a generator that is asked for each maker takes a tenth of the books' time."""
    levels, sign = book.levels, book.sign
    for key in reversed(book.keys):
        if key < worst_key:
            return
        yield key * sign, levels[key].values(), 0


def _levels_with_house(
    book: BookSide, worst_key: int, house: Iterator[tuple[int, int]], house_key: int
) -> Iterator[_Level]:
    """Each quote of the house is a level of its own.

    No quote of the house passes `house_key`: while users are better than that, its ladder need not be worked out.
    """
    sign = book.sign
    price, offered = _NO_QUOTE
    for key in reversed(book.keys):
        while house_key > key and house_key >= worst_key:
            if offered:
                yield price, _HOUSE, offered
            price, offered = next(house, _NO_QUOTE)
            house_key = price * sign if offered else _NOWHERE
        if key < worst_key:
            return
        yield key * sign, book.levels[key].values(), 0
    while house_key >= worst_key:
        if offered:
            yield price, _HOUSE, offered
        price, offered = next(house, _NO_QUOTE)
        house_key = price * sign if offered else _NOWHERE
