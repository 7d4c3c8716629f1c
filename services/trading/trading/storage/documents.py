"""The projection's documents: what the journal says, in the shape that people and queries ask for.

`orders` has the product document's fields (trading_pair, order_type, amount, ...) and ours; `_id` is `id` once more.
Amounts are Decimal128 in whole units of their asset. Rows are written in bulk by `storage.projection`, which knows the
same names.
"""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from beanie import Document
from pydantic import BaseModel, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from trading.domain.keys import ORDER_KEY_SECONDS
from trading.storage.balance_points import BalancePointDocument

# Of a transfer: its first phase, and its state until the second.
HELD = "held"
PENDING = "pending"


class PostingPart(BaseModel):
    """What the fill moved in one of the order owner's accounts."""

    asset: str
    amount: Decimal


class FillPart(BaseModel):
    id: str
    number: int  # of the trade, over all markets
    batch: int
    time: datetime
    price: Decimal
    amount: Decimal
    quote_amount: Decimal
    fee: Decimal
    liquidity: str
    postings: list[PostingPart]


class AmendmentPart(BaseModel):
    """What the order's terms were before it was amended; what they became is in the row or the next amendment."""

    batch: int
    time: datetime
    price_before: Decimal | None
    amount_before: Decimal | None


class OrderDocument(Document):
    """One order with its fills. `batch` is the newest batch in the row; a row is only written over an older one."""

    id: str  # type: ignore[assignment]  # Beanie means any type of id
    user_id: str
    trading_pair: str
    order_type: str
    side: str
    amount: Decimal | None  # None for an order by quote amount
    quote_amount: Decimal | None
    price: Decimal | None  # None for an order without a limit
    stop_price: Decimal | None = None  # where there is none, and in rows from before there were such orders
    expires_at: datetime | None = None
    status: str
    created_at: datetime
    filled_at: datetime | None
    updated_at: datetime
    time_in_force: str
    post_only: bool
    maker_fee_basis_points: int = 0  # rows of before it was told have none
    taker_fee_basis_points: int = 0
    client_order_id: str | None = None
    idempotency_key: str | None = None
    fingerprint: str
    filled_amount: Decimal
    filled_quote_amount: Decimal
    fees: Decimal
    close_reason: str | None
    triggered_batch: int | None = None
    amendments: list[AmendmentPart] = Field(default_factory=list)
    placed_batch: int
    batch: int
    fills: list[FillPart]

    class Settings:
        name = "orders"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("user_id", ASCENDING), ("created_at", DESCENDING)]),
            # Old keys are looked up here once they have left the exchange's memory. Not `$exists`: the local server
            # does not see that what equals something exists, and would read all the user's orders instead.
            IndexModel(
                [("user_id", ASCENDING), ("idempotency_key", ASCENDING)],
                partialFilterExpression={"idempotency_key": {"$gt": ""}},
            ),
            IndexModel(
                [("user_id", ASCENDING), ("client_order_id", ASCENDING)],
                partialFilterExpression={"client_order_id": {"$gt": ""}},
            ),
        ]


class TransferPosting(BaseModel):
    account: str
    asset: str
    amount: Decimal


class TransferDocument(Document):
    """One phase of a movement outside trading. Its id is the phase's business key: unique, for ever.

    `phase` is `moved` for a transfer in one phase, `held` for the first of two (then `state` says what became of it),
    `posted` or `voided` for the second, whose `hold_key` names the first. `postings` are what moved, or is to.
    """

    id: str  # type: ignore[assignment]  # Beanie means any type of id
    transfer_id: str
    phase: str
    state: str  # `done`, or of a held one `pending`, `posted`, `voided`, `expired`
    hold_key: str
    kind: str
    reason: str
    postings: list[TransferPosting]
    fingerprint: str
    actor: str
    credential: str
    request_id: str
    created_at: datetime
    first_batch: int
    batch: int  # the newest batch in the row

    class Settings:
        name = "transfers"
        indexes: ClassVar[list[IndexModel]] = []


class UsedKeyDocument(Document):
    """A cancel's idempotency key and the orders it closed."""

    id: str  # type: ignore[assignment]  # user id, newline, key
    fingerprint: str
    order_ids: list[str]
    created_at: datetime
    batch: int

    class Settings:
        name = "used_keys"
        indexes: ClassVar[list[IndexModel]] = [
            IndexModel([("created_at", ASCENDING)], expireAfterSeconds=2 * ORDER_KEY_SECONDS)
        ]


class TapePart(BaseModel):
    """One trade; `price` and `quantity` as decimal strings."""

    id: str
    sequence: int
    price: str
    quantity: str
    taker_side: str


class TapeDocument(Document):
    """A market's trades in one batch. Its id is the market and the first trade's sequence."""

    id: str  # type: ignore[assignment]  # Beanie means any type of id
    batch: int
    time: datetime
    trades: list[TapePart]

    class Settings:
        name = "tape"
        indexes: ClassVar[list[IndexModel]] = []


def used_key_id(user_id: str, key: str) -> str:
    return f"{user_id}\n{key}"


DOCUMENTS = (OrderDocument, TransferDocument, UsedKeyDocument, TapeDocument, BalancePointDocument)
