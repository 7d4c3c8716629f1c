"""Whose money it is. An account is (owner, asset) with an available and a held part, in minor units."""

from dataclasses import dataclass
from typing import NamedTuple

HOUSE = "house"  # quotes around the reference price; may be negative within its inventory limits
FEES = "fees"
EXTERNAL = "external"  # the outside world: negative by what came in
ROUNDING = "rounding"
SYSTEM_OWNERS = (HOUSE, FEES, EXTERNAL, ROUNDING)
MAY_BE_NEGATIVE = (HOUSE, EXTERNAL)

_USER_PREFIX = "user:"


def owner_of_user(user_id: str) -> str:
    return _USER_PREFIX + user_id


def user_of_owner(owner: str) -> str:
    """The user's id; empty for a system account."""
    return owner[len(_USER_PREFIX) :] if owner.startswith(_USER_PREFIX) else ""


class Posting(NamedTuple):
    """One account's change; negative where it pays."""

    owner: str
    asset: str
    amount: int


class HoldChange(NamedTuple):
    """Moves `amount` from available to held; negative the other way. The account's sum stays."""

    owner: str
    asset: str
    amount: int


@dataclass(slots=True, eq=False)
class Account:
    """Only `evolve` changes it."""

    available: int = 0
    held: int = 0
