"""What the journal says happened to one user, in this service's words."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """`quantity` of `base` came in; `paid` of `quote`, the fee included, went out."""

    base: str
    quote: str
    quantity: Decimal
    paid: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sold:
    """`quantity` of `base` went out; `received` of `quote`, the fee taken off, came in."""

    base: str
    quote: str
    quantity: Decimal
    received: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A movement outside trading; negative where it left the user."""

    asset: str
    amount: Decimal


Fact = Bought | Sold | Moved
