"""A market that needs no account and no internet: prices as a pure function of (seed, symbol, time).

Nothing is remembered between two calls, so a restart continues where the clock is and two processes agree. Floats live
inside the noise only; what leaves is an exact decimal. Not a forecast, and without the fat tails of real markets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import exp
from typing import Final

from market_data.domain.assets import ASSETS, Asset
from market_data.domain.price import Quote
from market_data.domain.price_path import Noise, PricePath

DAY_MILLISECONDS: Final = 86_400_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Turnover is counted in blocks of 2^20 ms, about 17 minutes: 82 a day.
TURNOVER_LEVEL: Final = 20
# Markets trade when nothing happens, and more when prices move.
QUIET_TURNOVER_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True)
class Character:
    """How one simulated asset behaves: typical price in USD, volatility a year, share in the market's mood."""

    base_price: Decimal
    volatility: float
    correlation: float
    daily_turnover: int  # USD


CHARACTERS: Final[Mapping[str, Character]] = {
    "BTC": Character(Decimal(97000), 0.50, 0.90, 38_000_000_000),
    "ETH": Character(Decimal(3400), 0.65, 0.88, 19_000_000_000),
    "SOL": Character(Decimal(185), 0.85, 0.80, 4_200_000_000),
    "XRP": Character(Decimal("2.3"), 0.85, 0.68, 5_100_000_000),
    "ADA": Character(Decimal("0.82"), 0.85, 0.78, 900_000_000),
    "DOGE": Character(Decimal("0.24"), 0.95, 0.74, 1_900_000_000),
    "DOT": Character(Decimal("6.4"), 0.85, 0.80, 310_000_000),
    "AVAX": Character(Decimal(31), 0.90, 0.79, 480_000_000),
    "LINK": Character(Decimal("19.5"), 0.85, 0.77, 620_000_000),
    "LTC": Character(Decimal(108), 0.75, 0.76, 640_000_000),
    "BCH": Character(Decimal(440), 0.80, 0.72, 410_000_000),
    "XLM": Character(Decimal("0.31"), 0.90, 0.66, 260_000_000),
    "UNI": Character(Decimal("11.2"), 0.90, 0.74, 280_000_000),
    "ATOM": Character(Decimal("6.8"), 0.85, 0.78, 170_000_000),
    "ETC": Character(Decimal(26), 0.80, 0.76, 230_000_000),
    "FIL": Character(Decimal("4.9"), 0.90, 0.77, 240_000_000),
    "NEAR": Character(Decimal("5.1"), 0.95, 0.78, 330_000_000),
    "APT": Character(Decimal("8.7"), 0.95, 0.76, 220_000_000),
    "ARB": Character(Decimal("0.74"), 0.95, 0.80, 320_000_000),
    "OP": Character(Decimal("1.75"), 1.00, 0.80, 250_000_000),
}


def ordinary_character(base_price: Decimal) -> Character:
    """Of an asset of which no more is known than its price: like most of the smaller ones."""
    return Character(base_price, volatility=0.90, correlation=0.75, daily_turnover=100_000_000)


class SimulatedAsset:
    """One asset's price and 24 h statistics at any moment, all read from one walk."""

    def __init__(self, asset: Asset, *, character: Character, path: PricePath) -> None:
        self.asset = asset
        self._character = character
        self._path = path
        self._turnover = lru_cache(maxsize=256)(self._block_turnover)

    def price_at(self, moment: datetime) -> Decimal:
        """The published price in USD."""
        return self._published(self._path.at(_milliseconds(moment)))

    def quote_at(self, moment: datetime) -> Quote:
        """The price with change, high, low and turnover of the 24 hours before it."""
        now = _milliseconds(moment)
        price, before = self._published(self._path.at(now)), self._published(self._path.at(now - DAY_MILLISECONDS))
        low, high = self._path.extremes(now - DAY_MILLISECONDS, now)
        return Quote(
            symbol=self.asset.symbol,
            price=price,
            change_24h=((price - before) / before * 100).quantize(Decimal("0.01")),
            high_24h=self._published(high),
            low_24h=self._published(low),
            volume_24h=self._turnover_between(now - DAY_MILLISECONDS, now),
            source_time=EPOCH + timedelta(milliseconds=now),
        )

    def _published(self, logarithm: float) -> Decimal:
        return self.asset.rounded(self._character.base_price * Decimal(repr(exp(logarithm))))

    def _turnover_between(self, first: int, last: int) -> Decimal:
        first_block, last_block = first >> TURNOVER_LEVEL, last >> TURNOVER_LEVEL
        size = 1 << TURNOVER_LEVEL
        whole = sum(self._turnover(block) for block in range(first_block, last_block))
        # The window's two ends cut a block each; a cut block counts by its share of time.
        leaving = self._turnover(first_block) * (first % size) / size
        arriving = self._turnover(last_block) * (last % size) / size
        return Decimal(round(whole - leaving + arriving))

    def _block_turnover(self, block: int) -> float:
        size = 1 << TURNOVER_LEVEL
        # Traders answer the move they saw: with this block's own move its turnover would tell where the price is going.
        seen = abs(self._path.at(block * size) - self._path.at((block - 1) * size)) / self._path.expected_move(size)
        activity = QUIET_TURNOVER_SHARE + (1 - QUIET_TURNOVER_SHARE) * seen
        return self._character.daily_turnover * size / DAY_MILLISECONDS * activity


class SimulatedMarket:
    """All assets, moved in part by one common mood of the market."""

    def __init__(
        self, *, seed: str, assets: Sequence[Asset] = ASSETS, characters: Mapping[str, Character] = CHARACTERS
    ) -> None:
        """`characters` by symbol, of all the assets."""
        mood = Noise(seed=seed, stream="market")
        self.assets: Sequence[SimulatedAsset] = tuple(
            _simulated(asset, characters[asset.symbol], seed=seed, mood=mood) for asset in assets
        )

    def quotes_at(self, moment: datetime) -> list[Quote]:
        """Every asset's quote at one moment."""
        return [asset.quote_at(moment) for asset in self.assets]


def _simulated(asset: Asset, character: Character, *, seed: str, mood: Noise) -> SimulatedAsset:
    path = PricePath(
        market=mood,
        own=Noise(seed=seed, stream=asset.symbol),
        volatility=character.volatility,
        correlation=character.correlation,
    )
    return SimulatedAsset(asset, character=character, path=path)


def _milliseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)
