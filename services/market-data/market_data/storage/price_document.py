"""A price as JSON."""

from datetime import UTC, datetime
from typing import TypedDict

from market_data.domain.price import Price


class PriceDocument(TypedDict):
    """Numbers are decimal strings in USD (`change_24h` in percent), times RFC 3339 UTC with milliseconds."""

    symbol: str
    price: str
    change_24h: str
    high_24h: str
    low_24h: str
    volume_24h: str
    source: str
    source_time: str
    time: str


def document_of(price: Price) -> PriceDocument:
    """The one document form of a price."""
    quote = price.quote
    return {
        "symbol": quote.symbol,
        "price": f"{quote.price:f}",
        "change_24h": f"{quote.change_24h:f}",
        "high_24h": f"{quote.high_24h:f}",
        "low_24h": f"{quote.low_24h:f}",
        "volume_24h": f"{quote.volume_24h:f}",
        "source": price.source,
        "source_time": _rfc3339(quote.source_time),
        "time": _rfc3339(price.time),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
