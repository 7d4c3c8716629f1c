"""One running platform for all tests that cross services and break nothing, started when the first of them asks."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from local_stack.platform import Platform

# Test folders are no packages; this makes `tests.customers` a name that they can share.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.customers import Customer, MarketRules, sign_up

HTTP_TIMEOUT_SECONDS = 15.0
# Ten seconds on a machine that does nothing else; the rest is for one that does.
READY_SECONDS = 240.0
# More than any test opens at once: none should measure the client's own waiting line.
HTTP_CONNECTIONS_MAX = 128

NewCustomer = Callable[[], Awaitable[Customer]]


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with Platform(data_dir=tmp_path_factory.mktemp("platform"), ready_seconds=READY_SECONDS) as platform:
        yield platform


@pytest.fixture(scope="session")
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the public door that keeps no cookies: each test sends what it means to send."""
    async with door(platform) as client:
        yield client


@pytest.fixture
def new_customer(http: httpx.AsyncClient) -> NewCustomer:
    """Signs up somebody new, verified and with practice money."""

    async def make() -> Customer:
        return await sign_up(http)

    return make


@pytest.fixture
async def customer(new_customer: NewCustomer) -> Customer:
    return await new_customer()


@pytest.fixture(scope="session")
async def bitcoin(http: httpx.AsyncClient) -> MarketRules:
    """The rules of BTC-USD."""
    return MarketRules.of((await http.get("/api/v1/markets/BTC-USD")).raise_for_status().json())


def door(platform: Platform) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=HTTP_CONNECTIONS_MAX, max_keepalive_connections=HTTP_CONNECTIONS_MAX)
    return httpx.AsyncClient(base_url=platform.gateway_url, timeout=HTTP_TIMEOUT_SECONDS, limits=limits)
