"""What market-data can be told at start, by environment variables with the prefix CRYPTOVAULT_."""

from typing import Literal, Self

from chassis.settings import ServiceSettings
from pydantic import Field, SecretStr, model_validator


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
