"""What stands in paths and queries. All are strings there; numbers are read from them after the pattern held."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.errors import invalid
from gateway.schemas.fields import (
    ASSET_PATTERN,
    CURSOR_PATTERN,
    KIND_PATTERN,
    LIMIT_PATTERN,
    MOMENT_OR_SEQUENCE_PATTERN,
    PAGE_SIZE_DEFAULT,
    PAGE_SIZE_MAX,
    SEQUENCE_PATTERN,
    TIME_PATTERN,
    UUID_PATTERN,
    ClientOrderId,
    MarketSymbol,
    RequestBody,
)
from gateway.schemas.wallet import PostingKind

BOOK_DEPTH_MAX = 100
BOOK_DEPTH_DEFAULT = 20

OrderId = Annotated[str, Field(pattern=UUID_PATTERN)]


class _Page(RequestBody):
    limit: Annotated[str, Field(pattern=LIMIT_PATTERN, description=f"At most {PAGE_SIZE_MAX}.")] = str(
        PAGE_SIZE_DEFAULT
    )

    @property
    def page_size(self) -> int:
        """PublicError 400 above the maximum."""
        return bounded(self.limit, field="limit", maximum=PAGE_SIZE_MAX)


class _CursorPage(_Page):
    cursor: Annotated[str, Field(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")] | None = None


class OrdersQuery(_CursorPage):
    market: MarketSymbol | None = None
    status: Literal["open", "new", "partially_filled", "filled", "cancelled", "expired", "rejected"] | None = Field(
        default=None, description="`open` stands for `new`, `open` and `partially_filled`."
    )


class FillsQuery(_CursorPage):
    market: MarketSymbol | None = None
    order_id: OrderId | None = None


class EventsQuery(_Page):
    after: Annotated[
        str, Field(pattern=SEQUENCE_PATTERN, description="The last sequence you have; 400 where it is of no event yet.")
    ] = "0"


class BalancesQuery(RequestBody):
    as_of: (
        Annotated[
            str,
            Field(
                pattern=MOMENT_OR_SEQUENCE_PATTERN,
                description="A time that has been (RFC 3339, UTC), or the sequence of one of your events: the balances "
                "right then.",
            ),
        ]
        | None
    ) = None


class _TimedPage(_CursorPage):
    from_time: Annotated[str, Field(pattern=TIME_PATTERN)] | None = Field(
        default=None, alias="from", description="From this time on."
    )
    to_time: Annotated[str, Field(pattern=TIME_PATTERN)] | None = Field(
        default=None, alias="to", description="Before this time."
    )


class LedgerQuery(_TimedPage):
    asset: Annotated[str, Field(pattern=ASSET_PATTERN)] | None = None
    kind: PostingKind | None = None


class AuditQuery(_TimedPage):
    action: Annotated[str, Field(pattern=KIND_PATTERN, description="Such as `order_placed`.")] | None = None


class AuditSearchQuery(AuditQuery):
    user_id: Annotated[str, Field(pattern=UUID_PATTERN)] | None = None


class CancelQuery(RequestBody):
    market: MarketSymbol | None = Field(default=None, description="All markets, where it is missing.")


class BookQuery(RequestBody):
    depth: Annotated[str, Field(pattern=LIMIT_PATTERN, description=f"Levels per side, at most {BOOK_DEPTH_MAX}.")] = (
        str(BOOK_DEPTH_DEFAULT)
    )

    @property
    def levels(self) -> int:
        """PublicError 400 above the maximum."""
        return bounded(self.depth, field="depth", maximum=BOOK_DEPTH_MAX)


class TradesQuery(_Page):
    cursor: Annotated[str, Field(pattern=SEQUENCE_PATTERN, description="`next_cursor` of the page before.")] | None = (
        None
    )
    after: Annotated[str, Field(pattern=SEQUENCE_PATTERN, description="Only trades younger than this sequence.")] = "0"


class OrderPath(RequestBody):
    order_id: OrderId


class ClientOrderPath(RequestBody):
    client_order_id: ClientOrderId


class AssetPath(RequestBody):
    code: Annotated[str, Field(pattern=ASSET_PATTERN)]


class MarketPath(RequestBody):
    symbol: MarketSymbol


class UserPath(RequestBody):
    user_id: OrderId


class NoQuery(RequestBody):
    """For routes that take none."""


def bounded(text: str, *, field: str, maximum: int) -> int:
    number = int(text)
    if number > maximum:
        raise invalid(f"{field} is at most {maximum}.", field=field, rule="maximum", value=text, maximum=str(maximum))
    return number
