"""A part that is down costs what depends on it, says so in the one shape, and comes back by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from chassis.testing import eventually
from local_stack.platform import Platform
from redis.asyncio import Redis

from tests.customers import PASSWORD, Customer, mailed_code, new_email
from tests.error_shape import assert_error, assert_status

# Ten in peace; the rest is for a machine on which others want the processor too.
RECOVERY_SECONDS = 40.0


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
        assert_status(await http.get("/api/v1/prices"), 200)
        assert_status(await customer.send("GET", "/auth/me"), 200)

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
        await eventually(refused, timeout_seconds=RECOVERY_SECONDS)
        before = await customer.balances()
        assert_unavailable(await customer.try_to_place(type="market", quote_quantity="20"))
        assert await customer.balances() == before

    async def filled() -> bool:
        return (await customer.try_to_place(type="market", quote_quantity="20")).status_code == 201

    await eventually(filled, timeout_seconds=RECOVERY_SECONDS)


async def test_a_redis_that_stalls_delays_a_sign_up_and_refuses_none(
    platform: Platform, http: httpx.AsyncClient
) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    async with Redis.from_url(platform.redis_url) as redis:
        await redis.client_pause(1_500)
    assert_status(await http.post("/api/v1/auth/signup", json=body), 202)
    assert await mailed_code(http, email)


async def test_health_names_the_five_checks(http: httpx.AsyncClient) -> None:
    health = await http.get("/health")
    assert health.status_code == 200, health.text
    checks = health.json()["checks"]
    assert len(checks) == 5
    assert_status(await http.get("/health/live"), 200)
    assert_status(await http.get("/health/ready"), 200)
