"""What the ledger says of a user: balances of now and of then, and every posting."""

from typing import Literal

from pydantic import Field

from gateway.schemas.fields import Figure, Identifier, Moment, ReplyBody
from gateway.schemas.trading import Balance

# Trading's, in its order. A contract test compares them.
PostingKind = Literal["trade", "practice_money", "deposit", "withdrawal", "user_transfer", "fee", "adjustment"]


class LastEvent(ReplyBody):
    sequence: int = Field(description="Of your events; see `/events`.")
    time: Moment


class BalancePage(ReplyBody):
    items: list[Balance]
    last_event: LastEvent | None = Field(
        description="With `as_of`: the last of your events in these balances. Null without it, or before the first."
    )
    next_cursor: None


class Posting(ReplyBody):
    """One change of one balance, available and held together. The postings of an asset sum to its balance."""

    id: str = Field(description="The event's sequence and the posting's place in it.")
    sequence: int = Field(description="Of your events; see `/events`.")
    time: Moment
    asset: str
    amount: Figure = Field(description="Negative where it left you.")
    balance_after: Figure = Field(description="The sum of this asset's postings up to this one.")
    kind: PostingKind
    counterparties: list[Literal["user", "house", "fees", "external", "rounding"]] = Field(
        description="What kind of account took the other side."
    )
    trade_id: Identifier | None
    order_id: Identifier | None = Field(description="Your order, of a trade.")
    transfer_id: Identifier | None


class PostingPage(ReplyBody):
    items: list[Posting]
    next_cursor: str | None = Field(description="A page may be short, even empty, though there is more.")
