"""One asset of one user: how much, what it cost, what was gained by selling it. By average cost."""

from dataclasses import dataclass, replace
from decimal import Decimal

from portfolio.domain.exact import ZERO, minus, plus, quotient, share


class Overdrawn(Exception):
    """More left a position than was in it: the journal and this fold disagree, and nothing may go on."""

    def __init__(self, *, asset: str, quantity: Decimal, spent: Decimal) -> None:
        super().__init__(f"{spent} {asset} left a position of {quantity}")


@dataclass(frozen=True, slots=True)
class Position:
    """`cost` and `realized` are USD with at most eight places; `cost` belongs to the whole of `quantity`."""

    asset: str
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def average_cost(self) -> Decimal | None:
        """USD per unit; None where nothing is held."""
        return quotient(self.cost, self.quantity) if self.quantity else None

    def received(self, quantity: Decimal, *, cost: Decimal) -> "Position":
        return replace(self, quantity=plus(self.quantity, quantity), cost=plus(self.cost, cost))

    def spent(self, quantity: Decimal) -> tuple["Position", Decimal]:
        """The position after `quantity` left it, and the cost that went along.

        What goes and what stays add up to what was there: rounding moves less than one unit of the eighth place
        between them, and the last unit takes the whole rest.
        """
        if quantity > self.quantity:
            raise Overdrawn(asset=self.asset, quantity=self.quantity, spent=quantity)
        cost = share(self.cost, quantity, self.quantity) if self.quantity else ZERO
        return replace(self, quantity=minus(self.quantity, quantity), cost=minus(self.cost, cost)), cost

    def gained(self, profit: Decimal) -> "Position":
        return replace(self, realized=plus(self.realized, profit))
