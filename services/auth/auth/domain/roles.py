"""Roles and what they permit. A permission, never a role's name, opens a door."""

from collections.abc import Iterable

USER_ROLE = "user"

PERMISSIONS_BY_ROLE: dict[str, tuple[str, ...]] = {
    USER_ROLE: ("orders:read", "orders:write", "portfolio:read", "profile:read", "profile:write", "wallet:read"),
}


def permissions_of(roles: Iterable[str]) -> tuple[str, ...]:
    """Sorted, each once. A role that this version does not know permits nothing."""
    return tuple(sorted({permission for role in roles for permission in PERMISSIONS_BY_ROLE.get(role, ())}))
