"""What another site's page can make a browser send: nothing of it changes anything, and none of our replies is read."""

from typing import TYPE_CHECKING

import httpx
import pytest
from gateway.admission.policy import Access
from paths import path_of
from replies import checked

if TYPE_CHECKING:
    from conftest import Running, Start

APP = "https://app.example.com"
ORDER = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}
# Each looks like the listed origin to a comparison that is not exact.
STRANGE_ORIGINS = [
    "null", "*", "", "https://", "http://app.example.com", "https://app.example.com:444", "https://app.example.com.",
    "https://app.example.com/", "https://app.example.com.evil.example", "https://evilapp.example.com",
    "https://evil.app.example.com", "https://example.com", "https://app.example.com@evil.example",
    "https://evil.example#app.example.com", "https://app.example.com%00.evil.example", "https://app.example.com_evil",
    "https://app.example.com`.evil.example", "https://app.examp1e.com", "https://APP.example.com", "HTTPS://app.example.com",
    "https://app.example.com, https://evil.example", "https://evil.example https://app.example.com",
    "file://app.example.com", "https://xn--app-example-com", "https://appXexample.com", "https://[::1]", "https://[",
]  # fmt: skip


def cookies(up: "Running", csrf: str) -> str:
    return f"__Host-cv_access={up.token()}; __Host-cv_csrf={csrf}"


def own_origin(up: "Running") -> str:
    return f"http://{up.host}:{up.port}"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-CSRF-Token": ""}, 403),
        ({"X-CSRF-Token": "of another session"}, 403),
        ({"X-CSRF-Token": "MINE"}, 403),
        ({"X-CSRF-Token": "mine", "Origin": "null"}, 403),
        ({"X-CSRF-Token": "mine", "Origin": "https://evil.example"}, 403),
        ({"X-CSRF-Token": "mine", "Origin": "http://sibling.127.0.0.1"}, 403),
        ({"X-CSRF-Token": "mine", "Origin": ""}, 403),
        ({"X-CSRF-Token": "mine", "Content-Type": "text/plain"}, 400),
        ({"X-CSRF-Token": "mine", "Content-Type": "application/x-www-form-urlencoded"}, 400),
        ({"X-CSRF-Token": "mine", "Content-Type": "multipart/form-data; boundary=x"}, 400),
        ({"X-CSRF-Token": "mine"}, 201),
    ],
)
async def test_a_page_elsewhere_places_no_order(up: "Running", headers: dict[str, str], status: int) -> None:
    mine = up.csrf_token()
    sent = {"Cookie": cookies(up, mine), "Origin": own_origin(up), "Content-Type": "application/json", **headers}
    written = headers.get("X-CSRF-Token")
    if written is not None:
        sent["X-CSRF-Token"] = {"mine": mine, "MINE": mine.swapcase()}.get(written, written)
    reply = await up.client.post(
        "/api/v1/orders", content=httpx.Request("POST", "http://x", json=ORDER).content, headers=sent
    )
    assert reply.status_code == status, reply.text
    assert len(up.platform.trading.commands) == (status == 201)


async def test_every_route_that_changes_something_refuses_a_cookie_without_its_token(up: "Running") -> None:
    changing = [
        one for one in up.gateway.application.endpoints if one.access is not Access.PUBLIC and one.method != "GET"
    ]
    assert len(changing) >= 20
    mine = up.csrf_token()
    for endpoint in changing:
        for headers in ({"Origin": own_origin(up)}, {"Origin": "https://evil.example", "X-CSRF-Token": mine}):
            reply = await up.client.request(
                endpoint.method, path_of(endpoint), headers={"Cookie": cookies(up, mine), **headers}
            )
            assert checked(reply, 403, "AUTHORIZATION_ERROR")["reason"] in {"csrf_token_mismatch", "origin_not_allowed"}


async def test_a_cookie_of_anothers_token_does_not_make_the_header_right(up: "Running") -> None:
    """Two cookies of one name: a sibling domain's page has set the second one."""
    another = up.csrf_token()
    planted = f"{cookies(up, up.csrf_token())}; __Host-cv_csrf={another}"
    headers = {"Cookie": planted, "Origin": own_origin(up), "X-CSRF-Token": another}
    checked(await up.client.post("/api/v1/orders", json=ORDER, headers=headers), 403, "AUTHORIZATION_ERROR")


async def test_another_sessions_pair_of_cookie_and_header_is_refused(up: "Running") -> None:
    """Whoever can plant a cookie plants a pair of their own, with which header and cookie agree."""
    for planted in ("x", "A" * 64, "é" * 64, up.csrf_token(session_id="another-session"), up.csrf_token() + "A"):
        headers = {"Cookie": cookies(up, planted).encode("latin-1"), "X-CSRF-Token": planted.encode("latin-1")}
        reply = await up.client.post("/api/v1/orders", json=ORDER, headers=headers | {"Origin": own_origin(up)})
        assert checked(reply, 403, "AUTHORIZATION_ERROR") == {"reason": "csrf_token_mismatch"}, planted
    assert up.platform.trading.commands == []


async def test_another_sessions_pair_neither_refreshes_nor_signs_out(up: "Running") -> None:
    planted = up.csrf_token(refresh_token="of-another-session")
    headers = {"Cookie": f"__Secure-cv_refresh=refresh-secret-1; __Host-cv_csrf={planted}", "X-CSRF-Token": planted}
    for path in ("refresh", "logout"):
        reply = await up.client.post(f"/api/v1/auth/{path}", headers=headers | {"Origin": own_origin(up)})
        assert checked(reply, 403, "AUTHORIZATION_ERROR") == {"reason": "csrf_token_mismatch"}, path
    assert up.platform.auth.requests == []


async def test_no_strange_origin_may_read_or_act(start: "Start") -> None:
    async with start(cors_origins=APP) as up:
        mine = up.csrf_token()
        for origin in STRANGE_ORIGINS:
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = await up.client.options("/api/v1/orders", headers=asked)
            checked(preflight, 403, "AUTHORIZATION_ERROR")
            read = await up.client.get("/api/v1/prices", headers={"Origin": origin})
            private = await up.client.get("/api/v1/auth/me", headers={"Origin": origin, "Cookie": cookies(up, mine)})
            for reply in (preflight, read, private):
                assert not [name for name in reply.headers if name.startswith("access-control-")], origin
                assert "Origin" in reply.headers["vary"]
            headers = {"Cookie": cookies(up, mine), "Origin": origin, "X-CSRF-Token": mine}
            reply = await up.client.post("/api/v1/orders", json=ORDER, headers=headers)
            assert checked(reply, 403, "AUTHORIZATION_ERROR") == {"reason": "origin_not_allowed"}, origin
        assert up.platform.trading.commands == []
        headers = {"Cookie": cookies(up, mine), "Origin": APP, "X-CSRF-Token": mine}
        assert (await up.client.post("/api/v1/orders", json=ORDER, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "twice", ["Origin", "Authorization", "Cookie", "Content-Type", "X-CSRF-Token", "X-API-Key", "X-API-Signature"]
)
async def test_what_says_who_asks_is_not_said_twice(up: "Running", twice: str) -> None:
    """Whoever reads the first and whoever reads the last would see two people."""
    mine = up.csrf_token()
    right = {
        "Cookie": cookies(up, mine), "X-CSRF-Token": mine, "Origin": own_origin(up), "Content-Type": "application/json",
        "Authorization": up.bearer()["Authorization"],
    }  # fmt: skip
    headers = [*right.items(), (twice, "another"), (twice, right.get(twice, "another"))]
    reply = await up.client.post("/api/v1/orders", json=ORDER, headers=headers)
    checked(reply, 400, "VALIDATION_ERROR")
    assert up.platform.trading.commands == []


def forwarding(address: str) -> list[list[tuple[str, str]]]:
    """Ten ways to say that the request comes from this address."""
    return [
        [("X-Forwarded-For", address)],
        [("X-Forwarded-For", f"{address}, 127.0.0.1")],
        [("X-Forwarded-For", f"127.0.0.1, {address}")],
        [("X-Forwarded-For", address), ("X-Forwarded-For", address)],
        [("X-Forwarded-For", f"[2001:db8::{address.rpartition('.')[2]}]:1234")],
        [("X-Forwarded-For", f"{address}:8080")],
        [("X-Real-IP", address), ("X-Client-IP", address)],
        [("Forwarded", f"for={address};proto=https")],
        [("True-Client-IP", address), ("CF-Connecting-IP", address)],
        [("X-Cv-Address", address), ("X-Forwarded-Host", address), ("Via", f"1.1 {address}")],
    ]


async def test_ten_ways_to_name_another_address_do_not_move_the_limit(start: "Start") -> None:
    async with start(limit_auth_per_address=5, limit_factor=1) as up:
        statuses = []
        for number in range(10):
            headers = forwarding(f"198.51.100.{number}")[number]
            reply = await up.client.post("/api/v1/auth/resend-code", json={"email": "a@b.c"}, headers=headers)
            statuses.append(reply.status_code)
        assert statuses == [202] * 5 + [429] * 5
        assert {caller.address for caller in up.platform.auth.callers} == {"127.0.0.1"}


async def test_behind_a_named_proxy_what_a_client_wrote_itself_does_not_move_its_limit(start: "Start") -> None:
    async with start(limit_auth_per_address=5, limit_factor=1, trusted_proxies="127.0.0.0/8") as up:
        statuses = []
        for number in range(10):
            # The proxy appends the address that it sees.
            written = next(iter(forwarding(f"198.51.100.{number}")[number]))[1]
            headers = {"X-Forwarded-For": f"{written}, 203.0.113.9"}
            reply = await up.client.post("/api/v1/auth/resend-code", json={"email": "a@b.c"}, headers=headers)
            statuses.append(reply.status_code)
        assert statuses == [202] * 5 + [429] * 5
