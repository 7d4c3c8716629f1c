"""What the exchange's journal says that is worth telling a person."""

from dataclasses import dataclass, field
from datetime import datetime

HOUSE = "house"  # the exchange's own user id; it has no mailbox
MAILS_PER_HOUR_MAX = 20  # per user: a person's trading, not a robot's; the rest is told in the application only
LISTED_MAX = 20  # orders in one mail: somebody reads it; that there were more is said, not how many


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled:
    """An order is done. Amounts are decimal strings as the exchange wrote them; the last four in the quote asset."""

    order_id: str
    user_id: str
    market: str
    side: str
    quantity: str
    notional: str
    average_price: str
    fees: str

    @property
    def key(self) -> str:
        """An order is filled once, so this names its one notification and its one mail."""
        return f"order-filled:{self.order_id}"

    def facts(self) -> dict[str, str]:
        return {
            "order_id": self.order_id,
            "market": self.market,
            "side": self.side,
            "quantity": self.quantity,
            "notional": self.notional,
            "average_price": self.average_price,
            "fees": self.fees,
        }


@dataclass(frozen=True, slots=True)
class BatchFills:
    """The filled orders of one batch of the journal."""

    time: datetime
    fills: tuple[OrderFilled, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMail:
    """An order mail that still takes what else is filled for its user: written down, but not sent yet."""

    mail_id: str
    user_id: str
    orders: int  # listed in it, at most LISTED_MAX
    unlisted: bool  # it says that there were more


def hour_of(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H")
