"""The fold of one user's facts: a pure function of the journal, so that a rebuild gives the same numbers.

- A buy's cost is what was paid, fee included. A sell's proceeds are what came in, fee taken off; its profit is the
  proceeds less the average cost of what was sold.
- A dollar costs a dollar.
- A trade against another asset than USD realises nothing: the cost moves on to what was received, since the journal
  has no dollar price for it.
- Whatever comes in by a transfer costs nothing, dollars apart: the journal does not say what it was worth. Taking the
  market price of the moment in which we happen to read would give other numbers after a rebuild.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from portfolio.domain.exact import ZERO, minus, total
from portfolio.domain.facts import Bought, Fact, Moved, Sold
from portfolio.domain.position import Position

CASH = "USD"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything folded for one user. `batch` is the journal batch of the newest fact in it; 0 before the first."""

    user_id: str
    batch: int = 0
    positions: Mapping[str, Position] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def realized(self) -> Decimal:
        return total(position.realized for position in self.positions.values())

    def position(self, asset: str) -> Position:
        return self.positions.get(asset) or Position(asset)

    def after(self, facts: Iterable[Fact], *, batch: int) -> "Holdings":
        """With the facts of that batch, in their order.

        Raises:
            Overdrawn: the facts take out what never came in.
        """
        positions = dict(self.positions)
        for fact in facts:
            _apply(positions, fact)
        return Holdings(self.user_id, batch, MappingProxyType(positions))


def _apply(positions: dict[str, Position], fact: Fact) -> None:
    match fact:
        case Bought():
            cost = _spend(positions, fact.quote, fact.paid)
            _receive(positions, fact.base, fact.quantity, cost=cost)
        case Sold():
            cost = _spend(positions, fact.base, fact.quantity)
            if fact.quote == CASH:
                _receive(positions, CASH, fact.received, cost=fact.received)
                positions[fact.base] = positions[fact.base].gained(minus(fact.received, cost))
            else:
                _receive(positions, fact.quote, fact.received, cost=cost)
        case Moved() if fact.amount < 0:
            _spend(positions, fact.asset, -fact.amount)
        case Moved():
            _receive(positions, fact.asset, fact.amount, cost=fact.amount if fact.asset == CASH else ZERO)


def _receive(positions: dict[str, Position], asset: str, quantity: Decimal, *, cost: Decimal) -> None:
    positions[asset] = (positions.get(asset) or Position(asset)).received(quantity, cost=cost)


def _spend(positions: dict[str, Position], asset: str, quantity: Decimal) -> Decimal:
    positions[asset], cost = (positions.get(asset) or Position(asset)).spent(quantity)
    return cost
