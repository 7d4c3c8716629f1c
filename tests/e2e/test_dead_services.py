"""A part that is down costs what depends on it, says so in the one shape, and comes back by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from chassis.testing import eventually
from local_stack.platform import Platform

from tests.customers import PASSWORD, Customer
from tests.error_shape import assert_error

RECOVERY_SECONDS = 10.0


@asynccontextmanager
async def without(platform: Platform, name: str) -> AsyncIterator[None]:
    await platform.stop(name)
    try:
        yield
    finally:
        await platform.start(name)


def assert_unavailable(reply: httpx.Response) -> None:
    assert_error(reply, 503, "SERVICE_UNAVAILABLE")
    assert int(reply.headers["retry-after"]) >= 1


async def test_without_trading_orders_are_unavailable_and_prices_go_on(
    platform: Platform, http: httpx.AsyncClient, customer: Customer
) -> None:
    async with without(platform, "trading"):
        assert_unavailable(await customer.try_to_place(key="k", type="market", quote_quantity="20"))
        assert_unavailable(await customer.send("GET", "/wallet/balances"))
        assert (await http.get("/api/v1/prices")).status_code == 200
        assert (await customer.send("GET", "/auth/me")).status_code == 200

    async def placed() -> bool:
        return (await customer.try_to_place(key="k", type="market", quote_quantity="20")).status_code == 201

    await eventually(placed, timeout_seconds=RECOVERY_SECONDS)
    assert len(await customer.orders()) == 1


async def test_without_the_projector_orders_are_still_placed_and_found_again_later(
    platform: Platform, customer: Customer
) -> None:
    async with without(platform, "trading-projector"):
        order = await customer.place(type="market", quote_quantity="20")
        assert_unavailable(await customer.send("GET", f"/orders/{order['id']}"))
        assert_unavailable(await customer.send("GET", "/orders"))

    async def found() -> bool:
        return (await customer.send("GET", f"/orders/{order['id']}")).status_code == 200

    await eventually(found, timeout_seconds=RECOVERY_SECONDS)


async def test_without_portfolio_only_the_portfolio_is_unavailable(platform: Platform, customer: Customer) -> None:
    async with without(platform, "portfolio"):
        assert_unavailable(await customer.send("GET", "/portfolio"))
        await customer.place(type="market", quote_quantity="20")
        assert await customer.available() < 10_000

    async def shown() -> bool:
        reply = await customer.send("GET", "/portfolio")
        return reply.status_code == 200 and {held["symbol"] for held in reply.json()["holdings"]} >= {"BTC"}

    await eventually(shown, timeout_seconds=RECOVERY_SECONDS)


async def test_without_auth_nobody_signs_in_but_who_is_in_stays_in(
    platform: Platform, http: httpx.AsyncClient, customer: Customer
) -> None:
    credentials = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    async with without(platform, "auth"):
        assert_unavailable(await http.post("/api/v1/auth/login", json=credentials))
        await customer.place(type="market", quote_quantity="20")

    async def signed_in() -> bool:
        return (await http.post("/api/v1/auth/login", json=credentials)).status_code == 200

    await eventually(signed_in, timeout_seconds=RECOVERY_SECONDS)


async def test_without_live_prices_nothing_is_filled_at_a_stale_one(platform: Platform, customer: Customer) -> None:
    async with without(platform, "market-data"):

        async def refused() -> bool:
            reply = await customer.try_to_place(type="market", quote_quantity="20")
            if reply.status_code == 201:
                return False
            assert_unavailable(reply)
            return True

        # Trading takes a price that is up to 3 s old.
        await eventually(refused, timeout_seconds=8)
        before = await customer.balances()
        assert_unavailable(await customer.try_to_place(type="market", quote_quantity="20"))
        assert await customer.balances() == before

    async def filled() -> bool:
        return (await customer.try_to_place(type="market", quote_quantity="20")).status_code == 201

    await eventually(filled, timeout_seconds=RECOVERY_SECONDS)


async def test_health_names_the_five_checks(http: httpx.AsyncClient) -> None:
    health = await http.get("/health")
    assert health.status_code == 200, health.text
    checks = health.json()["checks"]
    assert len(checks) == 5
    assert (await http.get("/health/live")).status_code == 200
    assert (await http.get("/health/ready")).status_code == 200
