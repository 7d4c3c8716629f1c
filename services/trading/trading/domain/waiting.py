"""Orders that wait for a number to be reached: a stop price, or a moment. Who is reached first stands first."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from trading.domain.orders import Order


class WaitingOrders:
    """By key, smallest first, then by age. A key is what the caller adds an order under, and must remove it under."""

    __slots__ = ("_entries", "first_key")

    def __init__(self) -> None:
        # No two orders share a number, so that a comparison never comes to the orders themselves.
        self._entries: list[tuple[int, int, Order]] = []
        self.first_key: int | None = None  # kept, since every order looks whether it has been reached

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: int, order: Order) -> None:
        insort(self._entries, (key, order.order_number, order))
        self.first_key = self._entries[0][0]

    def remove(self, key: int, order: Order) -> None:
        place = bisect_left(self._entries, (key, order.order_number))
        if self._entries[place][2] is not order:
            raise KeyError(order.order_id)
        del self._entries[place]
        self.first_key = self._entries[0][0] if self._entries else None

    @property
    def first(self) -> Order | None:
        return self._entries[0][2] if self._entries else None

    def up_to(self, key: int) -> Iterator[Order]:
        """Those whose key has been reached, in their order."""
        for reached, _, order in self._entries:
            if reached > key:
                return
            yield order

    def orders(self) -> Iterator[Order]:
        for _, _, order in self._entries:
            yield order
