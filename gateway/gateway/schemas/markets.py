"""Assets, markets, prices, books."""

from typing import Literal

from pydantic import Field

from gateway.schemas.fields import Figure, MarketSymbol, Moment, Money, ReplyBody


class Asset(ReplyBody):
    symbol: str = Field(examples=["BTC"])
    name: str = Field(examples=["Bitcoin"])


class AssetPage(ReplyBody):
    items: list[Asset]
    next_cursor: None


class FeeTier(ReplyBody):
    volume_from: Money = Field(description="In the quote asset, traded today and in the 29 days before it (UTC).")
    maker_fee_basis_points: int
    taker_fee_basis_points: int


class CircuitBreaker(ReplyBody):
    """The market pauses when its reference price is further than this from any price of the window."""

    move_basis_points: int
    window_seconds: Figure
    pause_seconds: Figure


class Market(ReplyBody):
    symbol: MarketSymbol
    base_asset: str
    quote_asset: str
    name: str
    status: str = Field(
        description="`trading`; `paused` (by the circuit breaker, until `paused_until`) and `cancel_only`: no new "
        "orders, cancels are possible; `halted`: nothing moves."
    )
    paused_until: Moment | None
    tick: Money = Field(description="Prices are whole multiples of it.")
    lot: Money = Field(description="Quantities are whole multiples of it.")
    min_notional: Money
    max_quantity: Money | None
    max_open_orders: int = Field(description="Of one user in this market.")
    maker_fee_basis_points: int
    taker_fee_basis_points: int
    fee_tiers: list[FeeTier] = Field(description="Instead of the two rates, by growing volume.")
    price_band_basis_points: int = Field(description="How far a limit may be from the reference price.")
    slippage_cap_basis_points: int = Field(description="How far from the reference price a market order may walk.")
    circuit_breaker: CircuitBreaker | None


class MarketPage(ReplyBody):
    items: list[Market]
    next_cursor: None


class _Day(ReplyBody):
    change_24h: Figure | None = Field(description="Percent.")
    high_24h: Money | None
    low_24h: Money | None
    volume_24h: Money | None = Field(description="In USD.")


class Price(_Day):
    symbol: str = Field(description="The asset; prices are in USD.", examples=["BTC"])
    price: Money
    source: str = Field(description="Where the price comes from.")
    source_time: Moment = Field(description="When the source says it was true.")
    time: Moment = Field(description="When we took it.")


class PriceList(ReplyBody):
    items: list[Price]
    next_cursor: None
    time: Moment = Field(description="The newest price in the list.")


class Ticker(_Day):
    """All of it but the market is null as long as the market has no price: no order is taken there then."""

    market: MarketSymbol
    price: Money | None
    source: str | None = Field(description="Where the price comes from.")
    source_time: Moment | None = Field(description="When the source says it was true.")
    time: Moment | None = Field(description="When we took it.")


class Book(ReplyBody):
    market: MarketSymbol
    sequence: int = Field(description="The journal's newest batch in this book.")
    bids: list[tuple[Money, Money]] = Field(description="Price and quantity, best first.")
    asks: list[tuple[Money, Money]] = Field(description="Price and quantity, best first.")
    time: Moment


class Trade(ReplyBody):
    id: str
    sequence: int = Field(description="Counts the market's trades 1, 2, 3, ... without gaps.")
    price: Money
    quantity: Money
    taker_side: Literal["buy", "sell"]
    time: Moment


class TradePage(ReplyBody):
    items: list[Trade] = Field(description="Newest first, without gaps.")
    next_cursor: str | None


class MarketFees(ReplyBody):
    market: MarketSymbol
    quote_asset: str
    maker_fee_basis_points: int = Field(description="What your next order pays for what it makes.")
    taker_fee_basis_points: int
    tier: int = Field(description="0 is below the first of the market's tiers.")
    volume_30d: Money = Field(description="Traded in all markets of the quote asset, with today 30 days (UTC).")
    overridden: bool = Field(description="The rates are your own, whatever the tier.")
    next_tier: FeeTier | None


class FeePage(ReplyBody):
    items: list[MarketFees]
    next_cursor: None
