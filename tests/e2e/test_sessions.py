"""Signing in, staying in, getting out."""

from http.cookies import SimpleCookie
from typing import Any

import httpx
from chassis.testing import eventually
from local_stack.platform import Platform

from tests.customers import PASSWORD, Customer, mailed_code, mails_to, new_email
from tests.error_shape import assert_error, assert_status, assert_success

ACCESS, REFRESH, CSRF = "__Host-cv_access", "__Secure-cv_refresh", "__Host-cv_csrf"
DEVICE = "__Secure-cv_device"  # stays when its person signs out: a known device is not locked out by strangers


def cookies_of(reply: httpx.Response) -> dict[str, Any]:
    """What the reply sets, by name, with attributes."""
    jar: SimpleCookie = SimpleCookie()
    for header in reply.headers.get_list("set-cookie"):
        jar.load(header)
    return dict(jar)


def cookie_header(cookies: dict[str, Any]) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())


async def log_in(http: httpx.AsyncClient, email: str, *, password: str = PASSWORD, delivery: str) -> httpx.Response:
    # As a browser on our own page would say it.
    headers = {"Origin": str(http.base_url).rstrip("/")} if delivery == "cookie" else {}
    body = {"email": email, "password": password, "delivery": delivery}
    return await http.post("/api/v1/auth/login", json=body, headers=headers)


async def test_a_wrong_password_and_an_unknown_address_are_told_apart_by_nobody(
    customer: Customer, http: httpx.AsyncClient
) -> None:
    wrong = await log_in(http, customer.email, password="not this one", delivery="body")
    unknown = await log_in(http, new_email(), delivery="body")
    assert_error(wrong, 401, "AUTHENTICATION_ERROR")
    assert_error(unknown, 401, "AUTHENTICATION_ERROR")
    for volatile in ("request_id", "timestamp"):
        assert wrong.json()["error"].pop(volatile) != unknown.json()["error"].pop(volatile)
    assert wrong.json()["error"]["message"] == unknown.json()["error"]["message"]
    assert wrong.json()["error"]["details"] == unknown.json()["error"]["details"]


async def test_a_refresh_token_is_exchanged_for_a_new_pair(customer: Customer, http: httpx.AsyncClient) -> None:
    reply = await http.post("/api/v1/auth/refresh", json={"refresh_token": customer.refresh_token})
    assert reply.status_code == 200, reply.text
    renewed = reply.json()
    assert renewed["refresh_token"] != customer.refresh_token
    assert renewed["access_token"] != customer.access_token
    customer.access_token = renewed["access_token"]
    assert (await customer.get("/auth/me"))["email"] == customer.email


async def test_logging_out_ends_access_and_refresh(customer: Customer, http: httpx.AsyncClient) -> None:
    assert_success(await customer.send("POST", "/auth/logout", {}))
    assert_error(await customer.send("GET", "/auth/me"), 401, "AUTHENTICATION_ERROR")
    assert_error(
        await http.post("/api/v1/auth/refresh", json={"refresh_token": customer.refresh_token}),
        401,
        "AUTHENTICATION_ERROR",
    )


async def test_logging_out_everywhere_ends_the_other_session_too(customer: Customer, http: httpx.AsyncClient) -> None:
    other = (await log_in(http, customer.email, delivery="body")).raise_for_status().json()
    elsewhere = {"Authorization": f"Bearer {other['access_token']}"}
    assert_status(await http.get("/api/v1/auth/me", headers=elsewhere), 200)
    assert_success(await customer.send("POST", "/auth/logout-all", {}))

    async def ended() -> bool:
        return (await http.get("/api/v1/auth/me", headers=elsewhere)).status_code == 401

    await eventually(ended)


async def test_a_made_up_refresh_token_is_refused(http: httpx.AsyncClient) -> None:
    for token in ("x", "a" * 200, "..", "cv_" + "0" * 43):
        reply = await http.post("/api/v1/auth/refresh", json={"refresh_token": token})
        assert_error(reply, 401, "AUTHENTICATION_ERROR")


async def test_cookies_are_locked_down_and_nothing_is_in_the_body(customer: Customer, http: httpx.AsyncClient) -> None:
    reply = await log_in(http, customer.email, delivery="cookie")
    assert reply.status_code == 200, reply.text
    cookies = cookies_of(reply)
    assert set(cookies) == {ACCESS, REFRESH, CSRF, DEVICE}
    assert all(morsel["secure"] for morsel in cookies.values())
    assert cookies[ACCESS]["httponly"]
    assert cookies[REFRESH]["httponly"]
    assert cookies[DEVICE]["httponly"]
    assert not cookies[CSRF]["httponly"]
    for private in (REFRESH, DEVICE):
        assert (cookies[private]["path"], cookies[private]["samesite"]) == ("/api/v1/auth", "Strict")
    assert reply.json()["access_token"] is None
    assert reply.json()["refresh_token"] is None
    assert cookies[ACCESS].value not in reply.text
    assert reply.json()["csrf_token"] == cookies[CSRF].value


async def test_a_browser_needs_its_csrf_token_and_its_own_origin_to_change_anything(
    customer: Customer, http: httpx.AsyncClient, platform: Platform
) -> None:
    cookies = cookies_of(await log_in(http, customer.email, delivery="cookie"))
    jar = {"Cookie": cookie_header({name: cookies[name] for name in (ACCESS, CSRF)})}
    own = {"Origin": platform.gateway_url}
    csrf = {"X-CSRF-Token": cookies[CSRF].value}
    order = {"market": "BTC-USD", "side": "buy", "type": "market", "quote_quantity": "20"}
    assert_status(await http.get("/api/v1/portfolio", headers=jar), 200)
    for headers in (
        jar | own,
        jar | csrf,
        jar | own | {"X-CSRF-Token": "x" * 43},
        jar | csrf | {"Origin": "https://evil.example"},
        jar | csrf | {"Origin": "null"},
    ):
        assert_error(await http.post("/api/v1/orders", json=order, headers=headers), 403, "AUTHORIZATION_ERROR")
    assert await customer.orders() == []
    placed = await http.post("/api/v1/orders", json=order, headers=jar | own | csrf)
    assert placed.status_code == 201, placed.text


async def test_a_browser_refreshes_and_signs_out_by_cookie(
    customer: Customer, http: httpx.AsyncClient, platform: Platform
) -> None:
    first = cookies_of(await log_in(http, customer.email, delivery="cookie"))
    headers = {
        "Cookie": cookie_header(first),
        "Origin": platform.gateway_url,
        "X-CSRF-Token": first[CSRF].value,
    }
    renewed = await http.post("/api/v1/auth/refresh", json={}, headers=headers)
    assert renewed.status_code == 200, renewed.text
    second = cookies_of(renewed)
    assert second[REFRESH].value != first[REFRESH].value
    headers = {
        "Cookie": cookie_header(second),
        "Origin": platform.gateway_url,
        "X-CSRF-Token": second[CSRF].value,
    }
    out = await http.post("/api/v1/auth/logout", json={}, headers=headers)
    assert out.is_success, out.text
    assert {name: morsel.value for name, morsel in cookies_of(out).items()} == {ACCESS: "", REFRESH: "", CSRF: ""}
    assert_error(await http.get("/api/v1/auth/me", headers=headers), 401, "AUTHENTICATION_ERROR")


async def test_a_refresh_cookie_without_its_device_has_no_second_try_and_ends_the_session(
    customer: Customer, http: httpx.AsyncClient, platform: Platform
) -> None:
    cookies = cookies_of(await log_in(http, customer.email, delivery="cookie"))
    browser = {"Origin": platform.gateway_url, "X-CSRF-Token": cookies[CSRF].value, "Cookie": cookie_header(cookies)}
    one, other = [await http.post("/api/v1/auth/refresh", json={}, headers=browser) for _ in range(2)]
    assert cookies_of(one)[REFRESH].value == cookies_of(other)[REFRESH].value != cookies[REFRESH].value
    stolen = browser | {"Cookie": cookie_header({name: cookies[name] for name in (REFRESH, CSRF)})}
    reused = await http.post("/api/v1/auth/refresh", json={}, headers=stolen)
    assert_error(reused, 401, "AUTHENTICATION_ERROR")
    assert reused.json()["error"]["details"] == {"reason": "refresh_token_reused"}
    owners = browser | {"Cookie": cookie_header(cookies_of(one)), "X-CSRF-Token": cookies_of(one)[CSRF].value}
    assert_error(await http.post("/api/v1/auth/refresh", json={}, headers=owners), 401, "AUTHENTICATION_ERROR")
    assert_error(await http.get("/api/v1/auth/me", headers=owners), 401, "AUTHENTICATION_ERROR")


async def test_signing_up_twice_looks_the_same_and_changes_nothing(customer: Customer, http: httpx.AsyncClient) -> None:
    body = {"email": customer.email, "password": "another password, longer", "name": "Eve"}
    again = await http.post("/api/v1/auth/signup", json=body)
    fresh = await http.post("/api/v1/auth/signup", json=body | {"email": new_email()})
    assert (again.status_code, again.json()) == (fresh.status_code, fresh.json()) == (202, {"status": "accepted"})
    assert_error(
        await log_in(http, customer.email, password=body["password"], delivery="body"), 401, "AUTHENTICATION_ERROR"
    )
    assert_status(await log_in(http, customer.email, delivery="body"), 200)


async def test_six_wrong_codes_end_the_code(http: httpx.AsyncClient) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    assert_status(await http.post("/api/v1/auth/signup", json=body), 202)
    code = await mailed_code(http, email)
    wrong = f"{(int(code) + 1) % 1_000_000:06}"
    for _ in range(6):
        reply = await http.post("/api/v1/auth/verify-email", json={"email": email, "code": wrong})
        assert reply.status_code in {400, 401, 422, 429}, reply.text
        assert_error(reply, reply.status_code, reply.json()["error"]["code"])
    late = await http.post("/api/v1/auth/verify-email", json={"email": email, "code": code})
    assert not late.is_success, "the right code after six wrong ones"
    assert_error(late, late.status_code, late.json()["error"]["code"])


async def test_a_code_works_once(http: httpx.AsyncClient) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    assert_status(await http.post("/api/v1/auth/signup", json=body), 202)
    answer = {"email": email, "code": await mailed_code(http, email), "delivery": "body"}
    assert_status(await http.post("/api/v1/auth/verify-email", json=answer), 200)
    assert not (await http.post("/api/v1/auth/verify-email", json=answer)).is_success


async def test_a_code_is_in_no_reply_and_in_one_mail(http: httpx.AsyncClient) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "name": "Ada"}
    reply = await http.post("/api/v1/auth/signup", json=body)
    code = await mailed_code(http, email)
    assert code not in reply.text
    assert len(await mails_to(http, email)) == 1
