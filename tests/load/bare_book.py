"""The floor of every matching engine: price-time priority on integer ticks, with a heap of prices and a deque of orders
at each, and the fills that a taker is told of. No accounts, no fees, no checks, no events.
"""

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import NamedTuple

WORST = 1 << 63  # no key is above it


@dataclass(slots=True, eq=False)
class BareOrder:
    number: int
    person: int
    buys: bool
    price: int
    left: int


class BareFill(NamedTuple):
    maker: int
    taker: int
    price: int
    quantity: int


class _Side:
    """Keys grow away from the best price: the price for asks, its negative for bids."""

    __slots__ = ("heap", "levels")

    def __init__(self) -> None:
        self.heap: list[int] = []
        self.levels: dict[int, deque[BareOrder]] = {}

    def add(self, key: int, order: BareOrder) -> None:
        level = self.levels.get(key)
        if level is None:
            self.levels[key] = deque((order,))
            heappush(self.heap, key)
        else:
            level.append(order)


class BareBook:
    """One market. A cancelled order stays in its queue with nothing left, until a taker comes by."""

    def __init__(self) -> None:
        self.bids = _Side()
        self.asks = _Side()
        self.open: dict[int, BareOrder] = {}

    def limit(self, order: BareOrder) -> list[BareFill]:
        """What it traded; the rest of it rests."""
        if order.buys:
            fills = self._take(order, self.asks, order.price)
            side, key = self.bids, -order.price
        else:
            fills = self._take(order, self.bids, -order.price)
            side, key = self.asks, order.price
        if order.left:
            self.open[order.number] = order
            side.add(key, order)
        return fills

    def market(self, order: BareOrder) -> list[BareFill]:
        """What it traded; for the rest nobody was there."""
        return self._take(order, self.asks if order.buys else self.bids, WORST)

    def cancel(self, number: int) -> None:
        order = self.open.pop(number, None)
        if order is not None:
            order.left = 0

    def _take(self, taker: BareOrder, side: _Side, worst: int) -> list[BareFill]:
        fills: list[BareFill] = []
        heap = side.heap
        while taker.left and heap and heap[0] <= worst:
            level = side.levels[heap[0]]
            while level:
                maker = level[0]
                quantity = min(maker.left, taker.left)
                if quantity:
                    fills.append(BareFill(maker.number, taker.number, maker.price, quantity))
                    maker.left -= quantity
                    taker.left -= quantity
                if maker.left:
                    return fills
                level.popleft()
                self.open.pop(maker.number, None)
            del side.levels[heappop(heap)]
        return fills
