"""Keys for programs: what one may do, from where, until when."""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network
from uuid import UUID

from auth.domain.errors import InvalidApiKey

NAME_LENGTH_MAX = 60  # fits a table
NETWORKS_MAX = 20
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


def key_networks(named: Sequence[str]) -> tuple[str, ...]:
    """In the one form of each network. Raises InvalidApiKey."""
    if len(named) > NETWORKS_MAX:
        raise InvalidApiKey(f"A key has at most {NETWORKS_MAX} networks.", field="networks", rule="max_length")
    try:
        return tuple(sorted({str(ip_network(text)) for text in named}))
    except ValueError:
        raise InvalidApiKey(
            "A network is an address or a CIDR range, such as 203.0.113.0/24.", field="networks", rule="cidr"
        ) from None


def key_end(asked: datetime | None, now: datetime) -> datetime | None:
    """Raises InvalidApiKey."""
    if asked is not None and not now < asked <= now + LIFETIME_MAX:
        raise InvalidApiKey(
            f"A key ends within {LIFETIME_MAX.days} days, or never.", field="expires_at", rule="within_a_year"
        )
    return asked
