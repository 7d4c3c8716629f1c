"""Assets, markets, prices, books."""

from pydantic import Field

from gateway.schemas.fields import Figure, MarketSymbol, Moment, Money, ReplyBody


class Asset(ReplyBody):
    symbol: str = Field(examples=["BTC"])
    name: str = Field(examples=["Bitcoin"])


class AssetPage(ReplyBody):
    items: list[Asset]
    next_cursor: None


class Market(ReplyBody):
    symbol: MarketSymbol
    base_asset: str
    quote_asset: str
    name: str
    status: str = Field(description="`trading`, `cancel_only` or `halted`.")
    tick: Money = Field(description="Prices are whole multiples of it.")
    lot: Money = Field(description="Quantities are whole multiples of it.")
    min_notional: Money
    max_quantity: Money | None
    maker_fee_basis_points: int
    taker_fee_basis_points: int
    price_band_basis_points: int = Field(description="How far a limit may be from the reference price.")
    slippage_cap_basis_points: int = Field(description="How far a market order may walk.")


class MarketPage(ReplyBody):
    items: list[Market]
    next_cursor: None


class _Quote(ReplyBody):
    price: Money
    change_24h: Figure | None = Field(description="Percent.")
    high_24h: Money | None
    low_24h: Money | None
    volume_24h: Money | None = Field(description="In USD.")
    source: str = Field(description="Where the price comes from.")
    source_time: Moment = Field(description="When the source says it was true.")
    time: Moment = Field(description="When we took it.")


class Price(_Quote):
    symbol: str = Field(description="The asset; prices are in USD.", examples=["BTC"])


class PriceList(ReplyBody):
    items: list[Price]
    next_cursor: None
    time: Moment = Field(description="The newest price in the list.")


class Ticker(_Quote):
    market: MarketSymbol


class Book(ReplyBody):
    market: MarketSymbol
    sequence: int = Field(description="The journal's newest batch in this book.")
    bids: list[tuple[Money, Money]] = Field(description="Price and quantity, best first.")
    asks: list[tuple[Money, Money]] = Field(description="Price and quantity, best first.")
    time: Moment
