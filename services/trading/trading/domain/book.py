"""One side of a book: users' resting orders by price, then by age."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from trading.domain.orders import Order, Side


class BookSide:
    """A level, found by its price, is a dict by order id: insertion order is age. `keys` sorts the prices: they grow
    towards the best one (the price for bids, its negative for asks), so the best is at the end of the list, where
    removing it costs nothing.
    """

    __slots__ = ("keys", "levels", "sign")

    def __init__(self, side: Side) -> None:
        self.sign = 1 if side is Side.BUY else -1
        self.keys: list[int] = []
        self.levels: dict[int, dict[str, Order]] = {}

    def add(self, order: Order) -> None:
        price = order.price
        level = self.levels.get(price)
        if level is None:
            self.levels[price] = {order.order_id: order}
            insort(self.keys, price * self.sign)
        else:
            level[order.order_id] = order

    def remove(self, order: Order) -> None:
        price = order.price
        level = self.levels[price]
        del level[order.order_id]
        if not level:
            del self.levels[price]
            keys, key = self.keys, price * self.sign
            if keys[-1] == key:
                keys.pop()
            else:
                del keys[bisect_left(keys, key)]

    def orders(self) -> Iterator[Order]:
        """In the order in which they trade."""
        for key in reversed(self.keys):
            yield from self.levels[key * self.sign].values()

    @property
    def best_price(self) -> int | None:
        return self.keys[-1] * self.sign if self.keys else None

    def depth(self, levels: int) -> list[tuple[int, int]]:
        """(price, remaining quantity of the level), best first."""
        prices = [key * self.sign for key in self.keys[: -levels - 1 : -1]]
        return [
            (price, sum(order.quantity - order.filled_quantity for order in self.levels[price].values()))
            for price in prices
        ]
