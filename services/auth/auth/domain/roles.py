"""Roles and what they permit. A permission, never a role's name, opens a door.

A permission reads `<what>:<act>`. Those of `user` are about one's own things only: the owner is in every query. What
reaches into other people's things, or the platform's, has a name of its own (`users:read`, `markets:write`).
"""

from collections.abc import Iterable

from auth.domain.errors import UnknownRole

USER_ROLE = "user"
SUPPORT_ROLE = "support"
ADMIN_ROLE = "admin"

_SUPPORT_PERMISSIONS = (
    "all-orders:read",
    "audit-logs:read",
    "stats:read",
    "users:read",
    "withdrawals:read",
)

PERMISSIONS_BY_ROLE: dict[str, tuple[str, ...]] = {
    USER_ROLE: (
        "alerts:read",
        "alerts:write",
        # Ask what a key is; make, list and end keys.
        "api-keys:read",
        "api-keys:write",
        "audit:read",
        "kyc:read",
        "kyc:write",
        "notifications:read",
        "notifications:write",
        "orders:cancel",
        "orders:read",
        "orders:write",
        "portfolio:read",
        "wallet:deposit",
        "wallet:read",
        "wallet:transfer",
        "wallet:withdraw",
        "webhooks:read",
        "webhooks:write",
    ),
    SUPPORT_ROLE: _SUPPORT_PERMISSIONS,
    ADMIN_ROLE: (
        *_SUPPORT_PERMISSIONS,
        # An adjustment of the ledger takes two people: its rule is with the ledger, not here.
        "adjustments:approve",
        "adjustments:propose",
        "markets:write",
        "users:write",
        "withdrawals:approve",
    ),
}


def permissions_of(roles: Iterable[str]) -> tuple[str, ...]:
    """Sorted, each once. A role that this version does not know permits nothing."""
    return tuple(sorted({permission for role in roles for permission in PERMISSIONS_BY_ROLE.get(role, ())}))


def known_role(name: str) -> str:
    """Raises UnknownRole, with the names that there are."""
    if name not in PERMISSIONS_BY_ROLE:
        raise UnknownRole(known=", ".join(PERMISSIONS_BY_ROLE))
    return name
