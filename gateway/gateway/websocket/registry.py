"""How many sockets are open, and whose."""

from collections import Counter

from gateway.edge.addresses import limited_address
from gateway.edge.metrics import SOCKETS


class SocketRegistry:
    def __init__(self, *, per_address_max: int) -> None:
        self._per_address_max = per_address_max
        self._by_address: Counter[str] = Counter()

    def enter(self, address: str) -> bool:
        """False where this address has as many as it may; then do not `leave`."""
        key = limited_address(address)
        if self._by_address[key] >= self._per_address_max:
            return False
        self._by_address[key] += 1
        SOCKETS.inc()
        return True

    def leave(self, address: str) -> None:
        key = limited_address(address)
        self._by_address[key] -= 1
        if self._by_address[key] <= 0:
            del self._by_address[key]
        SOCKETS.dec()
