"""A platform of its own for tests that kill: what they break must not show in other tests."""

from collections.abc import AsyncIterator

import httpx
import pytest
from local_stack.platform import Platform

from tests.conftest import READY_SECONDS, door


@pytest.fixture(scope="package")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    folder = tmp_path_factory.mktemp("doomed-platform")
    async with Platform(data_dir=folder, ready_seconds=READY_SECONDS) as platform:
        yield platform


@pytest.fixture(scope="package")
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with door(platform) as client:
        yield client
