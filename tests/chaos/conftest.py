"""A platform of its own for tests that kill: what they break must not show in other tests."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from local_stack.platform import Platform
from local_stack.platform_plan import REPLICAS_OF_TRADING

from tests.conftest import READY_SECONDS, door

# For `whole_journal`, by which the exchange's own tests judge its journal.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "services" / "trading" / "tests" / "chaos"))

LEASE_SECONDS = "1.5"  # half the default: leaders die here by the dozen, and all wait for a dead one's lease
LEADER, FOLLOWER = REPLICAS_OF_TRADING


@pytest.fixture(scope="package")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """One process of the exchange alone, until `follower` starts the other."""
    folder = tmp_path_factory.mktemp("doomed-platform")
    environment = {name: {"CRYPTOVAULT_LEASE_SECONDS": LEASE_SECONDS} for name in REPLICAS_OF_TRADING}
    async with Platform(
        data_dir=folder, trading_replicas=2, environment=environment, ready_seconds=READY_SECONDS
    ) as platform:
        await platform.stop(FOLLOWER)
        yield platform


@pytest.fixture
async def follower(platform: Platform) -> AsyncIterator[str]:
    """The name of a second process of the exchange, for one test."""
    await platform.start(FOLLOWER)
    yield FOLLOWER
    await platform.stop(FOLLOWER)


@pytest.fixture(scope="package")
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with door(platform) as client:
        yield client
