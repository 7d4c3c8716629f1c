"""What market-data can be told at start, by environment variables with the prefix CRYPTOVAULT_."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from chassis.settings import ServiceSettings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from market_data.domain.assets import ASSETS, Asset
from market_data.domain.simulator import Character, ordinary_character

FURTHER_ASSETS_MAX = 80  # CoinGecko's answer names all assets at once


class FurtherAsset(BaseModel):
    """An asset that is priced beside the built-in ones. Each source needs what it knows the asset by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str = Field(pattern=r"^[A-Z0-9]{2,12}$")
    name: str = Field(min_length=1, max_length=64)
    price_places: int = Field(ge=0, le=8)
    coingecko_id: str = Field(default="", pattern=r"^[a-z0-9-]{0,64}$")
    # Around which the simulator's price moves.
    simulated_price: Annotated[Decimal, Field(gt=0, lt=10**9)] | None = None

    @property
    def asset(self) -> Asset:
        return Asset(self.symbol, self.name, self.price_places, self.coingecko_id)


class Settings(ServiceSettings):
    """One source per process: simulated and real prices never mix."""

    listen: str = "127.0.0.1:18013"

    price_provider: Literal["simulator", "coingecko"] = "simulator"

    # The same seed gives the same prices at the same time, everywhere.
    simulator_seed: str = "cryptovault"
    simulator_interval_seconds: float = Field(default=1.0, ge=0.1, le=2.0)
    # Trading takes no simulated price that is older.
    simulator_stale_seconds: float = Field(default=3.0, gt=0)

    coingecko_plan: Literal["demo", "pro"] = "demo"
    # Absent: CoinGecko's public limits, enough to look around.
    coingecko_api_key: SecretStr | None = None
    coingecko_url: str = ""
    # The demo plan has 10,000 calls a month and refreshes its own cache every 60 s.
    coingecko_interval_seconds: float = Field(default=60.0, ge=1.0)
    coingecko_stale_seconds: float = Field(default=120.0, gt=0)

    # As JSON, such as [{"symbol": "TRX", "name": "TRON", "price_places": 5, "coingecko_id": "tron"}].
    further_assets: Annotated[tuple[FurtherAsset, ...], Field(max_length=FURTHER_ASSETS_MAX)] = ()

    @model_validator(mode="after")
    def _further_assets_are_new_and_known_to_the_source(self) -> Self:
        symbols = [asset.symbol for asset in self.assets]
        if len(symbols) != len(set(symbols)):
            raise ValueError("CRYPTOVAULT_FURTHER_ASSETS must name each asset once, and no built-in one")
        needed = "simulated_price" if self.price_provider == "simulator" else "coingecko_id"
        if not all(getattr(asset, needed) for asset in self.further_assets):
            raise ValueError(f"CRYPTOVAULT_FURTHER_ASSETS must give each asset its {needed}")
        return self

    @property
    def assets(self) -> tuple[Asset, ...]:
        """All that are priced."""
        return (*ASSETS, *(further.asset for further in self.further_assets))

    @property
    def further_characters(self) -> dict[str, Character]:
        """How the simulator moves those that are not built in."""
        return {
            asset.symbol: ordinary_character(asset.simulated_price)
            for asset in self.further_assets
            if asset.simulated_price is not None
        }

    @model_validator(mode="after")
    def _pro_needs_a_key(self) -> Self:
        if self.price_provider == "coingecko" and self.coingecko_plan == "pro" and self.coingecko_api_key is None:
            raise ValueError("CRYPTOVAULT_COINGECKO_API_KEY must be set for the pro plan")
        return self

    @property
    def coingecko_base_url(self) -> str:
        """With a trailing slash, so that paths are joined below it."""
        host = "pro-api.coingecko.com" if self.coingecko_plan == "pro" else "api.coingecko.com"
        return (self.coingecko_url or f"https://{host}/api/v3").rstrip("/") + "/"
