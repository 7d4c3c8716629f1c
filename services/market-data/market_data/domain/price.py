"""What a source says, and what we publish."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Quote:
    """One asset's price in USD as its source states it."""

    symbol: str
    price: Decimal
    change_24h: Decimal  # percent
    high_24h: Decimal
    low_24h: Decimal
    volume_24h: Decimal  # USD
    source_time: datetime  # when the source says it was true


@dataclass(frozen=True, slots=True)
class Price:
    """A quote with where it came from and when we took it."""

    quote: Quote
    source: str
    time: datetime
