"""Keys for programs: what one may do, from where, until when."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from uuid import UUID

from auth.domain.errors import InvalidApiKey

NAME_LENGTH_MAX = 60  # fits a table
NETWORKS_MAX = 20
# What a key has moved is gone, and no person with a second factor stands behind each of its requests: so it is bound to
# where it comes from, an office or a rack (a /48 is one site's, RFC 6177), not a provider's whole range.
MONEY_SCOPES = frozenset({"transfer", "withdraw"})
MONEY_PREFIX_MIN = {4: 24, 6: 48}  # by version of IP
_MAPPED = IPv6Network("::ffff:0:0/96")  # all of IPv4 (RFC 4291, section 2.5.5.2), as some proxies write it
KEYS_MAX = 30  # of one account: more than anybody can look after
LIFETIME_MAX = timedelta(days=366)  # a key that nobody renews once a year is one that nobody knows of
SECRET_BYTES = 32

SELF_PERMISSION = "api-keys:read"  # every key may ask what it is
PERMISSIONS_BY_SCOPE: dict[str, tuple[str, ...]] = {
    "read": ("alerts:read", "audit:read", "notifications:read", "orders:read", "portfolio:read", "wallet:read"),
    "trade": ("orders:cancel", "orders:write"),
    "cancel": ("orders:cancel",),
    "transfer": ("wallet:transfer",),
    "withdraw": ("wallet:withdraw",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """`secret` is sealed. `networks` are where it may be used from; empty: anywhere."""

    id: UUID
    user_id: UUID
    name: str
    scopes: tuple[str, ...]
    networks: tuple[str, ...]
    secret: str = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def permissions_of_key(scopes: Iterable[str], owners: Iterable[str]) -> tuple[str, ...]:
    """What its scopes allow, never more than its owner may; sorted."""
    allowed = {permission for scope in scopes for permission in PERMISSIONS_BY_SCOPE.get(scope, ())}
    return tuple(sorted((allowed | {SELF_PERMISSION}) & set(owners)))


def key_name(typed: str) -> str:
    """Raises InvalidApiKey."""
    name = unicodedata.normalize("NFC", typed[: NAME_LENGTH_MAX * 4]).strip()
    if not 0 < len(name) <= NAME_LENGTH_MAX or any(unicodedata.category(one)[0] == "C" for one in name):
        raise InvalidApiKey(f"A key's name has 1 to {NAME_LENGTH_MAX} printable characters.", field="name", rule="name")
    return name


def key_scopes(named: Sequence[str]) -> tuple[str, ...]:
    """Sorted, each once. Raises InvalidApiKey."""
    if not named or not set(named) <= PERMISSIONS_BY_SCOPE.keys():
        known = ", ".join(PERMISSIONS_BY_SCOPE)
        raise InvalidApiKey(f"A key has one or more of the scopes {known}.", field="scopes", rule="known_scopes")
    return tuple(sorted(set(named)))


def key_networks(named: Sequence[str], *, scopes: Sequence[str]) -> tuple[str, ...]:
    """In the one form of each network. Raises InvalidApiKey, also where one that moves money may come from anywhere."""
    if len(named) > NETWORKS_MAX:
        raise InvalidApiKey(f"A key has at most {NETWORKS_MAX} networks.", field="networks", rule="max_length")
    try:
        networks = {_unmapped(ip_network(text)) for text in named}
    except ValueError:
        raise InvalidApiKey(
            "A network is an address or a CIDR range, such as 203.0.113.0/24.", field="networks", rule="cidr"
        ) from None
    if MONEY_SCOPES.intersection(scopes) and not _are_narrow(networks):
        raise InvalidApiKey(
            "A key that moves money names the networks that it comes from, none larger than a /24 (IPv6: /48).",
            field="networks",
            rule="narrow_networks",
        )
    return tuple(sorted(str(network) for network in networks))


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((network.network_address.packed[-4:], network.prefixlen - _MAPPED.prefixlen))
    return network


def _are_narrow(networks: Collection[IPv4Network | IPv6Network]) -> bool:
    return bool(networks) and all(one.prefixlen >= MONEY_PREFIX_MIN[one.version] for one in networks)


def key_end(asked: datetime | None, now: datetime) -> datetime | None:
    """Raises InvalidApiKey."""
    if asked is not None and not now < asked <= now + LIFETIME_MAX:
        raise InvalidApiKey(
            f"A key ends within {LIFETIME_MAX.days} days, or never.", field="expires_at", rule="within_a_year"
        )
    return asked
