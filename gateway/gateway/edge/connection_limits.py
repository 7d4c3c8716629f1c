"""How many connections there may be, in all and from one address."""

from collections import Counter

from gateway.edge.addresses import ClientAddresses, limited_address


class ConnectionLimits:
    """Counts by address, and an IPv6 customer as one. Of a proxy that we named each connection is somebody else's, so
    only their number in all is limited: how many one person has is for the proxy to say.
    """

    def __init__(self, addresses: ClientAddresses, *, total: int, per_address: int) -> None:
        self.total = total
        self._per_address = per_address
        self._addresses = addresses
        self._open: Counter[str] = Counter()

    def enter(self, peer: str) -> bool:
        """False, and nothing is counted, where this address has all it may have."""
        if self._addresses.is_trusted(peer):
            return True
        address = limited_address(peer)
        if self._open[address] >= self._per_address:
            return False
        self._open[address] += 1
        return True

    def leave(self, peer: str) -> None:
        """Once for each that has entered."""
        address = limited_address(peer)
        if self._open[address] > 1:
            self._open[address] -= 1
        else:
            del self._open[address]
