"""What every reply tells a browser not to do, whatever is asked and however it ends."""

from typing import TYPE_CHECKING

import pytest
from facts import KEY
from raw_http import raw

if TYPE_CHECKING:
    from conftest import Running, Start

PROTECTED = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
KINDS = [
    ("GET", "/api/v1/prices", {}, 200),
    ("GET", "/api/v1/markets", {}, 200),
    ("GET", "/health", {}, 200),
    ("GET", "/.well-known/jwks.json", {}, 200),
    ("GET", "/api/v1/auth/me", {}, 401),
    ("GET", "/api/v1/auth/me", {"X-API-Key": KEY}, 401),
    ("GET", "/api/v1/nothing", {}, 404),
    ("DELETE", "/api/v1/prices", {}, 405),
    ("OPTIONS", "/api/v1/orders", {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}, 403),
    ("POST", "/api/v1/auth/login", {"Content-Length": "31457280"}, 413),
    ("POST", "/api/v1/auth/login", {"Content-Type": "text/html"}, 400),
]


@pytest.mark.parametrize(("method", "path", "headers", "status"), KINDS)
async def test_every_kind_of_reply_carries_every_protection(
    up: "Running", method: str, path: str, headers: dict[str, str], status: int
) -> None:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    protected(await raw(up, "\r\n".join((*lines, "", "")).encode()), status)


async def test_what_is_no_http_is_refused_with_them_too(up: "Running") -> None:
    protected(await raw(up, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), 400)


def protected(answer: bytes, status: int) -> None:
    sent = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert sent[0].split()[1] == str(status)
    got: dict[str, list[str]] = {}
    for line in sent[1:]:
        name, _, value = line.partition(": ")
        got.setdefault(name.lower(), []).append(value)
    assert {name: got.get(name) for name in PROTECTED} == {name: [value] for name, value in PROTECTED.items()}
    assert got["content-security-policy"][0].startswith(API_POLICY)
    assert "camera=()" in got["permissions-policy"][0]
    assert len(got["x-request-id"]) == 1
    assert "server" not in got, "nobody needs to know what serves"


async def test_nothing_private_or_refused_may_be_kept_by_a_cache(up: "Running") -> None:
    for path, headers in (("/api/v1/auth/me", up.bearer()), ("/api/v1/auth/me", {}), ("/api/v1/orders", up.bearer())):
        assert (await up.client.get(path, headers=headers)).headers["cache-control"] == "no-store"


async def test_a_limited_price_is_protected_like_an_answered_one(start: "Start") -> None:
    async with start(limit_market_data_per_address=1, limit_factor=1, ready=False) as up:
        reply = await up.prices_limited()
        assert {name: reply.headers[name] for name in PROTECTED} == PROTECTED
