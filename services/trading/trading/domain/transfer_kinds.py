"""The kinds of transfers, as data: whose accounts each may touch, in which phases it happens, who answers for it."""

from enum import StrEnum
from typing import NamedTuple

from trading.domain.accounts import EXTERNAL, FEES, HOUSE, ROUNDING, user_of_owner


class Party(StrEnum):
    """What kind of owner an account has."""

    USER = "user"
    HOUSE = HOUSE
    FEES = FEES
    EXTERNAL = EXTERNAL
    ROUNDING = ROUNDING


class TransferKind(NamedTuple):
    name: str
    debits: tuple[Party, ...]
    credits: tuple[Party, ...]
    at_once: bool  # may move in one phase
    held_first: bool  # may be held, and posted or voided later
    may_expire: bool = False
    needs_person: bool = False  # somebody with a name and a reason answers for it
    stops_when_frozen: bool = False


_EVERYBODY = tuple(Party)

KINDS: dict[str, TransferKind] = {
    kind.name: kind
    for kind in (
        TransferKind("practice_money", (Party.EXTERNAL,), (Party.USER,), at_once=True, held_first=False),
        TransferKind(
            "deposit", (Party.EXTERNAL,), (Party.USER, Party.FEES), at_once=True, held_first=True, may_expire=True
        ),
        # The debit is committed before anything is sent, and an outcome that is not known stays held: so a withdrawal
        # never moves in one phase, and its hold never ends by itself.
        TransferKind(
            "withdrawal", (Party.USER,), (Party.EXTERNAL, Party.FEES), at_once=False, held_first=True,
            stops_when_frozen=True,
        ),
        TransferKind(
            "user_transfer", (Party.USER,), (Party.USER, Party.FEES), at_once=True, held_first=True, may_expire=True
        ),
        TransferKind("fee", (Party.USER,), (Party.FEES,), at_once=True, held_first=True, may_expire=True),
        TransferKind(
            "adjustment", _EVERYBODY, _EVERYBODY, at_once=True, held_first=True, may_expire=True, needs_person=True
        ),
    )
}  # fmt: skip


def party_of(owner: str) -> Party:
    """Raises `ValueError` for a name that is no owner's."""
    return Party.USER if user_of_owner(owner) else Party(owner)
