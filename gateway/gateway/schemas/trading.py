"""Orders, fills, balances, events, portfolio."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.schemas.fields import (
    TIME_PATTERN,
    ClientOrderId,
    Figure,
    Identifier,
    MarketSymbol,
    Moment,
    Money,
    ReplyBody,
    RequestBody,
)

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit", "take_profit"]
TimeInForce = Literal["gtc", "ioc", "fok", "gtd"]
OrderStatus = Literal["new", "open", "partially_filled", "filled", "cancelled", "expired", "rejected"]


class PlaceOrder(RequestBody):
    """Money, prices and quantities are strings. Which fields go together is the exchange's to say."""

    market: MarketSymbol
    side: Side
    type: OrderType
    quantity: Money | None = Field(default=None, description="Of the base asset.")
    quote_quantity: Money | None = Field(
        default=None, description="Of the quote asset, fees included for a buy. Market orders only."
    )
    price: Money | None = Field(default=None, description="The limit.")
    stop_price: Money | None = Field(
        default=None,
        description="`stop`, `stop_limit` and `take_profit` wait until the reference price reaches it: buy stops and "
        "sell take-profits from below, the others from above.",
    )
    time_in_force: TimeInForce | None = Field(
        default=None, description="`gtc` unless said otherwise; market orders are `ioc`."
    )
    expires_at: Annotated[str, Field(pattern=TIME_PATTERN)] | None = Field(
        default=None, description="The moment from which a `gtd` order trades no more."
    )
    post_only: bool = False
    client_order_id: ClientOrderId | None = None


class AmendOrder(RequestBody):
    """At least one of the two."""

    price: Money | None = Field(default=None, description="The new limit.")
    quantity: Money | None = Field(default=None, description="The new whole quantity, with what is filled.")


class Amount(ReplyBody):
    asset: str
    amount: Money


class Balance(ReplyBody):
    asset: str
    available: Money
    held: Money = Field(description="Set aside by open orders and pending transfers.")


class Fill(ReplyBody):
    id: str
    order_id: Identifier
    market: MarketSymbol
    side: Side
    price: Money
    quantity: Money
    fee: Money
    fee_asset: str
    liquidity: Literal["maker", "taker"]
    time: Moment


class Order(ReplyBody):
    id: Identifier
    client_order_id: str | None
    market: MarketSymbol
    side: Side
    type: OrderType
    status: OrderStatus
    quantity: Money | None
    quote_quantity: Money | None
    filled_quantity: Money
    filled_quote_quantity: Money = Field(description="Without fees.")
    price: Money | None
    stop_price: Money | None
    average_price: Money | None = Field(description="Quote per base over all fills.")
    time_in_force: TimeInForce
    post_only: bool
    fees: list[Amount]
    maker_fee_basis_points: int = Field(description="Fixed when the order was placed.")
    taker_fee_basis_points: int
    created_at: Moment
    updated_at: Moment
    filled_at: Moment | None
    expires_at: Moment | None
    close_reason: str | None = Field(description="Why a terminal order ended, such as `user` or `no_liquidity`.")


class OrderWithFills(Order):
    fills: list[Fill]


class PlacedOrder(OrderWithFills):
    balances: list[Balance] = Field(description="In the market's two assets, after the order.")


class PreviewFill(ReplyBody):
    price: Money
    quantity: Money
    fee: Money
    fee_asset: str
    liquidity: Literal["maker", "taker"]


class OrderPreview(ReplyBody):
    """The order as it would be right after: what it traded, what is left of it, and why it ended, if it did."""

    client_order_id: str | None
    market: MarketSymbol
    side: Side
    type: OrderType
    status: OrderStatus
    quantity: Money | None
    quote_quantity: Money | None
    filled_quantity: Money
    filled_quote_quantity: Money = Field(description="Without fees.")
    price: Money | None
    stop_price: Money | None
    average_price: Money | None
    time_in_force: TimeInForce
    post_only: bool
    fees: list[Amount]
    maker_fee_basis_points: int
    taker_fee_basis_points: int
    expires_at: Moment | None
    close_reason: str | None
    fills: list[PreviewFill]
    balances: list[Balance] = Field(description="In the market's two assets, after the order.")
    goes_on: bool = Field(description="It would trade on: these fills are as many as one step makes.")


class OrderPage(ReplyBody):
    items: list[Order]
    next_cursor: str | None = Field(description="A page may be short, even empty, though there is more.")


class NotCancelled(ReplyBody):
    order_id: Identifier
    market: MarketSymbol
    reason: str = Field(description="Why a cancel of this order alone would be refused, such as market_halted.")


class CancelledOrders(ReplyBody):
    order_ids: list[Identifier]
    not_cancelled: list[NotCancelled] = Field(
        description="What stays open: orders of halted markets. None, and order_ids are all there were. A repeat with "
        "the same Idempotency-Key answers what the first request did: ask again with another one."
    )


class FillPage(ReplyBody):
    items: list[Fill]
    next_cursor: str | None = Field(description="A page may be short, even empty, though there is more.")


class UserEvent(ReplyBody):
    sequence: int = Field(description="Counts 1, 2, 3, ... without gaps, over all your events.")
    time: Moment
    order: Order | None = Field(description="The order after this step, where one is concerned.")
    fills: list[Fill]
    balances: list[Balance] = Field(description="The balances this step changed, as they are after it.")


class EventPage(ReplyBody):
    items: list[UserEvent]
    next_cursor: str | None = Field(description="Give it as `after` to read on; null where you are up to date.")


class Holding(ReplyBody):
    symbol: str
    name: str
    amount: Money
    available: Money
    held: Money
    price: Money | None
    value: Money | None
    allocation: Money | None = Field(description="Percent of the total value.")
    average_cost: Figure | None
    unrealized_pnl: Figure | None


class Portfolio(ReplyBody):
    holdings: list[Holding]
    total_value: Figure
    cash: Figure
    realized_pnl: Figure | None
    as_of: Moment
