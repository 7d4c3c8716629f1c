"""The assets we price, in USD."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Asset:
    """One priced asset. Its published price has `price_places` decimals: four to seven significant digits."""

    symbol: str
    name: str
    price_places: int
    coingecko_id: str

    def rounded(self, price: Decimal) -> Decimal:
        """The price as we publish it. Half-even, which keeps order: a <= b stays a <= b."""
        return price.quantize(Decimal(1).scaleb(-self.price_places), rounding=ROUND_HALF_EVEN)


ASSETS: Final[Sequence[Asset]] = (
    Asset("BTC", "Bitcoin", 2, "bitcoin"),
    Asset("ETH", "Ethereum", 2, "ethereum"),
    Asset("SOL", "Solana", 3, "solana"),
    Asset("XRP", "XRP", 4, "ripple"),
    Asset("ADA", "Cardano", 4, "cardano"),
    Asset("DOGE", "Dogecoin", 5, "dogecoin"),
    Asset("DOT", "Polkadot", 3, "polkadot"),
    Asset("AVAX", "Avalanche", 3, "avalanche-2"),
    Asset("LINK", "Chainlink", 3, "chainlink"),
    Asset("LTC", "Litecoin", 2, "litecoin"),
    Asset("BCH", "Bitcoin Cash", 2, "bitcoin-cash"),
    Asset("XLM", "Stellar", 5, "stellar"),
    Asset("UNI", "Uniswap", 3, "uniswap"),
    Asset("ATOM", "Cosmos", 3, "cosmos"),
    Asset("ETC", "Ethereum Classic", 3, "ethereum-classic"),
    Asset("FIL", "Filecoin", 3, "filecoin"),
    Asset("NEAR", "NEAR Protocol", 3, "near"),
    Asset("APT", "Aptos", 3, "aptos"),
    Asset("ARB", "Arbitrum", 4, "arbitrum"),
    Asset("OP", "Optimism", 4, "optimism"),
)
