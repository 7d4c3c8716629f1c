"""How much of an asset there can be: what the house and the outside world owe, and how much more they may.

An asset's balances sum to zero and only these two may be negative, so what they owe is what all others have together.
While that fits 63 bits every balance does: no trade between users can break it, and none is checked for it.
"""

from collections.abc import Iterable, Mapping

from trading.domain.accounts import EXTERNAL, HOUSE, MAY_BE_NEGATIVE, Posting
from trading.domain.amounts import AMOUNT_MAX
from trading.domain.state import Owner


def owed(owners: Mapping[str, Owner], asset: str, postings: Iterable[Posting] = ()) -> int:
    """By those who may, once the postings are made."""
    changes = {owner: amount for owner, posted, amount in postings if posted == asset}
    return sum(max(0, -_available(owners, name, asset) - changes.get(name, 0)) for name in MAY_BE_NEGATIVE)


def room_of_house(owners: Mapping[str, Owner], asset: str) -> int:
    """What the house can give away before the two owe more than fits."""
    # Without `owed`: here every order that may meet the house comes by.
    return AMOUNT_MAX + min(0, _available(owners, EXTERNAL, asset)) + _available(owners, HOUSE, asset)


def _available(owners: Mapping[str, Owner], name: str, asset: str) -> int:
    owner = owners.get(name)
    account = owner.accounts.get(asset) if owner is not None else None
    return account.available if account is not None else 0
