"""Whose request it is, when proxies that we named stand between."""

from collections.abc import Mapping, MutableMapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

_HOPS_MAX = 20  # nobody has more proxies of his own; a longer list is an attack on this loop
_UNKNOWN = "unknown"
_IPV6_CUSTOMER_BITS = 64  # one customer gets at least this much, so its addresses are one for a limit


class ClientAddresses:
    """Walks X-Forwarded-For from the right, past trusted proxies only; what stands further left, anybody can write."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._trusted = tuple(trusted)

    def of(self, scope: MutableMapping[str, Any], headers: Mapping[bytes, bytes]) -> str:
        peer: str = scope["client"][0] if scope.get("client") else _UNKNOWN
        if not self._trusted or not self.is_trusted(peer):
            return peer
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
        nearest = peer
        for text in reversed(forwarded[-_HOPS_MAX:]):
            candidate = text.strip()
            try:
                ip_address(candidate)
            except ValueError:
                break  # not an address: believe nothing from here on
            nearest = candidate
            if not self.is_trusted(candidate):
                break
        return nearest

    def is_trusted(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def limited_address(address: str) -> str:
    """What rate limits count: the address, or the /64 network of an IPv6 one."""
    if ":" not in address:
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return _UNKNOWN
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network(f"{address.partition('%')[0]}/{_IPV6_CUSTOMER_BITS}", strict=False).network_address)
