"""Redis forgets everything at any moment: no effect on money, no ended session alive again, no new tries for a code."""

import signal

import httpx
from chassis.testing import eventually
from local_stack.platform import Platform
from redis.asyncio import Redis

from tests.customers import PASSWORD, mailed_code, new_email, sign_up
from tests.error_shape import assert_error, assert_status, assert_success


async def flush(platform: Platform) -> None:
    async with Redis.from_url(platform.redis_url) as client:
        await client.flushall()


async def test_money_and_orders_do_not_notice(platform: Platform, http: httpx.AsyncClient) -> None:
    customer = await sign_up(http)
    order = await customer.place(key="k", type="market", quote_quantity="100")
    before = await customer.balances()
    await flush(platform)
    assert await customer.balances() == before
    repeated = await customer.try_to_place(key="k", type="market", quote_quantity="100")
    assert repeated.json()["id"] == order["id"]
    assert await customer.balances() == before
    assert (await customer.get("/portfolio"))["holdings"]


async def test_an_ended_session_stays_ended(platform: Platform, http: httpx.AsyncClient) -> None:
    customer = await sign_up(http, funded=False)
    assert_success(await customer.send("POST", "/auth/logout", {}))
    await flush(platform)
    assert_error(await customer.send("GET", "/auth/me"), 401, "AUTHENTICATION_ERROR")
    refreshed = await http.post("/api/v1/auth/refresh", json={"refresh_token": customer.refresh_token})
    assert_error(refreshed, 401, "AUTHENTICATION_ERROR")


async def test_an_ended_session_stays_ended_when_the_gateway_forgets_too(
    platform: Platform, http: httpx.AsyncClient
) -> None:
    customer = await sign_up(http, funded=False)
    assert_success(await customer.send("POST", "/auth/logout", {}))
    await flush(platform)
    await platform.restart("gateway")
    await flush(platform)
    assert_error(await customer.send("GET", "/auth/me"), 401, "AUTHENTICATION_ERROR")


async def test_an_ended_session_stays_ended_while_redis_does_not_answer(
    platform: Platform, http: httpx.AsyncClient
) -> None:
    customer = await sign_up(http, funded=False)
    credentials = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    other = (await http.post("/api/v1/auth/login", json=credentials)).json()
    # The gateway is not told which sessions that ends.
    passwords = {"current_password": PASSWORD, "new_password": "a new battery staple"}
    assert_status(await customer.send("POST", "/auth/password/change", passwords), 202)
    platform.signal("redis", signal.SIGSTOP)
    try:
        ended = await http.get("/api/v1/orders", headers={"Authorization": f"Bearer {other['access_token']}"})
        assert_error(ended, 401, "AUTHENTICATION_ERROR")
        assert_success(await customer.send("GET", "/orders"))
    finally:
        platform.signal("redis", signal.SIGCONT)


async def test_an_emptied_redis_revives_no_session_though_auth_cannot_fill_it(
    platform: Platform, http: httpx.AsyncClient
) -> None:
    customer = await sign_up(http, funded=False)
    credentials = {"email": customer.email, "password": PASSWORD, "delivery": "body"}
    other = (await http.post("/api/v1/auth/login", json=credentials)).json()
    bearer = {"Authorization": f"Bearer {other['access_token']}"}
    passwords = {"current_password": PASSWORD, "new_password": "a new battery staple"}
    assert_status(await customer.send("POST", "/auth/password/change", passwords), 202)
    platform.signal("auth", signal.SIGSTOP)
    try:
        await flush(platform)
        assert_error(await http.get("/api/v1/orders", headers=bearer), 503, "SERVICE_UNAVAILABLE")
    finally:
        platform.signal("auth", signal.SIGCONT)

    async def is_over() -> bool:
        return (await http.get("/api/v1/orders", headers=bearer)).status_code == httpx.codes.UNAUTHORIZED

    await eventually(is_over)
    assert_success(await customer.send("GET", "/orders"))


async def test_the_tries_of_a_code_are_not_given_back(platform: Platform, http: httpx.AsyncClient) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    assert_status(await http.post("/api/v1/auth/signup", json=body), 202)
    code = await mailed_code(http, email)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(5):
        assert not (await http.post("/api/v1/auth/verify-email", json={"email": email, "code": wrong})).is_success
    await flush(platform)
    late = await http.post("/api/v1/auth/verify-email", json={"email": email, "code": code})
    assert not late.is_success, "the right code after five wrong ones and a flush"
    assert_error(late, late.status_code, late.json()["error"]["code"])
