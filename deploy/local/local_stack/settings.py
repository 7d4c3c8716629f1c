"""Where one copy of the platform lives: its ports, its data folder and its profile."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PORT_BLOCK = 120  # a platform takes its ports from base to base + 119: two copies need bases this far apart
PORT_BASE_MAX = 32_767 - PORT_BLOCK  # above begin the ephemeral ports, which any outgoing connection may hold

REPOSITORY = Path(__file__).resolve().parents[3]


class StackSettings(BaseSettings):
    """Read from CRYPTOVAULT_PORT_BASE, CRYPTOVAULT_DATA_DIR, CRYPTOVAULT_PROFILE and CRYPTOVAULT_TRADING_REPLICAS."""

    model_config = SettingsConfigDict(env_prefix="CRYPTOVAULT_", frozen=True)

    port_base: int = Field(default=18_000, ge=1_024, le=PORT_BASE_MAX)
    data_dir: Path = REPOSITORY / ".local"
    profile: Literal["local", "bench", "test"] = "local"
    log_level: str = "INFO"
    # Of the exchange: one leads, another one follows and takes over when it must.
    trading_replicas: int = Field(default=1, ge=1, le=2)
