"""Who comes in: tokens, cookies, revoked sessions, limits, and what goes on without Redis."""

import base64
import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from auth_stand_in import Minter
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import eventually
from facts import AUDIENCE, ISSUER, SESSION, USER
from joserfc import jwt
from joserfc.jwk import OctKey
from replies import checked
from sockets import connected

if TYPE_CHECKING:
    from conftest import Running, Start

ME = "/api/v1/auth/me"
ORDER = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}


def encoded(part: dict[str, Any] | bytes) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(up: "Running", header: dict[str, Any], secret: bytes = b"") -> str:
    """A token with right claims and a header and signature of an attacker's choice."""
    signed = f"{encoded(header)}.{encoded(up.platform.minter.claims(up.now()))}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{encoded(signature)}"


async def test_a_good_token_is_let_in_and_its_user_travels_on(up: "Running") -> None:
    assert (await up.client.get(ME, headers={**up.bearer(), "X-Request-ID": "r-1"})).status_code == 200
    caller = up.platform.auth.callers[-1]
    assert (caller.service, caller.user_id, caller.session_id) == ("gateway", USER, SESSION)
    assert (caller.request_id, caller.address) == ("r-1", "127.0.0.1")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "token_expired"),
        ({"exp": None}, "invalid_token"),
        ({"exp": "never"}, "invalid_token"),
        ({"iss": "https://evil.example"}, "invalid_token"),
        ({"iss": None}, "invalid_token"),
        ({"aud": "another-platform"}, "invalid_token"),
        ({"aud": None}, "invalid_token"),
        ({"type": "refresh"}, "invalid_token"),
        ({"type": None}, "invalid_token"),
        ({"sub": None}, "invalid_token"),
        ({"sub": ""}, "invalid_token"),
        ({"sub": {"$gt": ""}}, "invalid_token"),
        ({"sid": None}, "invalid_token"),
        ({"sid": 5}, "invalid_token"),
        ({"jti": None}, "invalid_token"),
        ({"iat": None}, "invalid_token"),
        ({"iat": 9_999_999_999}, "invalid_token"),
        ({"nbf": 9_999_999_999}, "invalid_token"),
        ({"scope": None}, "invalid_token"),
        ({"scope": ["trade"]}, "invalid_token"),
    ],
)
async def test_a_token_with_wrong_claims_is_refused(up: "Running", claims: dict[str, Any], reason: str) -> None:
    details = checked(await up.client.get(ME, headers=up.bearer(**claims)), 401, "AUTHENTICATION_ERROR")
    assert details == {"reason": reason}
    assert up.platform.auth.callers == []


async def test_a_forged_token_is_refused_however_it_is_forged(up: "Running") -> None:
    minter = up.platform.minter
    public = json.dumps(minter.key.as_dict(private=False)).encode()
    pem = minter.key.as_pem(private=False)
    good = up.token()
    head, payload, signature = good.split(".")
    stranger = Minter()
    strangers_key = {**stranger.key.as_dict(private=False)}
    tokens = [
        forged(up, {"alg": "none", "kid": minter.key_id}),
        forged(up, {"alg": "None", "kid": minter.key_id}),
        forged(up, {"alg": "HS256", "kid": minter.key_id}, secret=pem),
        forged(up, {"alg": "HS256", "kid": minter.key_id}, secret=public),
        forged(up, {"alg": "EdDSA", "kid": minter.key_id}),
        forged(up, {"alg": "Ed25519", "kid": minter.key_id}, secret=b"x"),
        forged(up, {"alg": "Ed25519"}),
        forged(up, {"alg": "Ed25519", "kid": "../../etc/passwd"}),
        forged(up, {"alg": "Ed25519", "kid": 5}),
        stranger.token(up.now()),
        # A key of one's own, offered in the header.
        jwt.encode(
            {"alg": "Ed25519", "kid": minter.key_id, "jwk": strangers_key}, minter.claims(up.now()), stranger.key,
            algorithms=["Ed25519"],
        ),
        f"{head}.{payload}.", f"{head}.{payload}", f"{head}.{payload}.{signature[:-4]}AAAA",
        f"{head}.{encoded(minter.claims(up.now(), sub='admin'))}.{signature}", good + "x", good + "." + signature,
        "x", "..", "a.b.c", "é.é.é", "." * 5_000, f"{encoded(b'[]')}.{payload}.{signature}",
        f"{encoded(b'[' * 3000)}.{payload}.{signature}",
    ]  # fmt: skip
    for token in tokens:
        reply = await up.client.get(ME, headers={"Authorization": f"Bearer {token}".encode()})
        checked(reply, 401, "AUTHENTICATION_ERROR")
        assert reply.headers["www-authenticate"] == "Bearer"
    assert up.platform.auth.callers == []
    assert (await up.client.get(ME, headers={"Authorization": f"bearer {good}"})).status_code == 200


async def test_a_retired_key_goes_on_verifying_while_it_is_published(fresh: "Running") -> None:
    old, new = fresh.platform.minter, Minter()
    both = json.loads(new.key_set())["keys"] + json.loads(old.key_set())["keys"]
    new.key_set = lambda: json.dumps({"keys": both})  # type: ignore[method-assign]
    fresh.platform.auth.minter = new
    for minter in (new, old, new):
        headers = {"Authorization": f"Bearer {minter.token(fresh.now(), sid=secrets.token_hex(4))}"}
        assert (await fresh.client.get(ME, headers=headers)).status_code == 200


async def test_a_token_that_is_remembered_ends_with_its_key(start: "Start") -> None:
    """Taken back, a key verifies nothing any more: not what it was seen to have signed, nor what is open by it."""
    async with start(signing_keys_seconds=0.1) as up:
        headers = up.bearer()
        assert (await up.client.get(ME, headers=headers)).status_code == 200
        async with connected(up, additional_headers=headers) as socket:
            await socket.send(op="ping")
            assert await socket.read() == {"op": "pong"}
            up.platform.auth.minter = Minter()

            async def refused() -> httpx.Response | None:
                reply = await up.client.get(ME, headers=headers)
                return None if reply.status_code == httpx.codes.OK else reply

            reply = await eventually(refused)
            assert reply is not None
            assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "invalid_token"}
            assert await socket.closed_with() == 4401
        new = up.platform.auth.minter.token(up.now())
        assert (await up.client.get(ME, headers={"Authorization": f"Bearer {new}"})).status_code == 200


async def test_keys_go_on_while_auth_does_not_answer(start: "Start") -> None:
    async with start(signing_keys_seconds=0.05) as up:
        up.platform.auth.error = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Gone.")
        asked = up.platform.auth.key_requests
        await eventually(lambda: up.platform.auth.key_requests > asked + 2)
        assert (await up.client.get("/api/v1/wallet/balances", headers=up.bearer())).status_code == 200


async def test_a_flood_of_unknown_key_names_is_no_flood_on_auth(fresh: "Running") -> None:
    await fresh.client.get(ME, headers=fresh.bearer())
    before = fresh.platform.auth.key_requests
    for _ in range(20):
        await fresh.client.get(ME, headers={"Authorization": f"Bearer {Minter().token(fresh.now())}"})
    assert fresh.platform.auth.key_requests - before <= 1


async def test_a_token_signed_by_a_new_key_is_let_in_once_the_key_is_published(fresh: "Running") -> None:
    minter = Minter()
    fresh.platform.auth.minter = minter
    reply = await fresh.client.get(ME, headers={"Authorization": f"Bearer {minter.token(fresh.now())}"})
    assert reply.status_code == 200, reply.text


async def test_a_remembered_token_ends_when_it_says(fresh: "Running") -> None:
    headers = fresh.bearer(exp=fresh.now() + 2)
    assert (await fresh.client.get(ME, headers=headers)).status_code == 200

    async def refused() -> httpx.Response | None:
        reply = await fresh.client.get(ME, headers=headers)
        return None if reply.status_code == httpx.codes.OK else reply

    reply = await eventually(refused)
    assert reply is not None
    assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "token_expired"}


async def test_without_auth_and_without_keys_nobody_is_called_a_stranger(start: "Start") -> None:
    async with start(auth_address="127.0.0.1:1", ready=False) as up:
        checked(await up.client.get(ME, headers=up.bearer()), 503, "SERVICE_UNAVAILABLE")


async def test_hs256_is_taken_where_the_setting_says_so_and_nothing_else(start: "Start") -> None:
    secret = "0123456789abcdef0123456789abcdef"
    key = OctKey.import_key(secret)
    async with start(jwt_algorithm="HS256", jwt_secret=secret) as up:
        claims = up.platform.minter.claims(up.now())
        token = jwt.encode({"alg": "HS256", "kid": key.thumbprint()}, claims, key, algorithms=["HS256"])
        assert (await up.client.get(ME, headers={"Authorization": f"Bearer {token}"})).status_code == 200
        checked(await up.client.get(ME, headers=up.bearer()), 401, "AUTHENTICATION_ERROR")
        assert (await up.client.get("/.well-known/jwks.json")).json() == {"keys": []}


async def test_a_request_costs_one_round_trip_to_redis(up: "Running", redis: Any) -> None:
    """Is the session over, is there allowance for the address, is there for the user: one question."""
    await up.client.get(ME, headers=up.bearer())
    async with redis.monitor() as monitor:
        await redis.ping()
        assert (await up.client.get(ME, headers=up.bearer())).headers["ratelimit-limit"]
        assert (await up.client.post("/api/v1/orders", json=ORDER, headers=up.bearer())).status_code == 201
        await redis.echo("end")
        asked: list[str] = []
        async for command in monitor.listen():
            if command["command"].startswith("ECHO"):
                break
            # What the script itself does there is no trip.
            if command["client_type"] != "lua":
                asked.append(command["command"].partition(" ")[0])
    assert asked[asked.index("PING") + 1 :] == ["EVALSHA", "EVALSHA"]


async def test_a_revoked_session_is_over_at_once(fresh: "Running", redis: Any) -> None:
    headers = fresh.bearer()
    assert (await fresh.client.get(ME, headers=headers)).status_code == 200
    await redis.set(f"cryptovault:blacklist:{SESSION}", b"1", ex=60)
    details = checked(await fresh.client.get(ME, headers=headers), 401, "AUTHENTICATION_ERROR")
    assert details == {"reason": "session_revoked"}


async def test_an_emptied_redis_makes_no_refused_session_valid_again(fresh: "Running", redis: Any) -> None:
    await redis.set(f"cryptovault:blacklist:{SESSION}", b"1", ex=60)
    await fresh.client.get(ME, headers=fresh.bearer())
    await redis.flushall()
    checked(await fresh.client.get(ME, headers=fresh.bearer()), 401, "AUTHENTICATION_ERROR")


async def test_logging_out_is_remembered_here_whatever_redis_says(fresh: "Running") -> None:
    assert (await fresh.client.post("/api/v1/auth/logout", headers=fresh.bearer())).status_code == 204
    checked(await fresh.client.get(ME, headers=fresh.bearer()), 401, "AUTHENTICATION_ERROR")
    other = await fresh.client.get(ME, headers=fresh.bearer(sid="another-session"))
    assert other.status_code == 200


# Cookies.


def browser(
    up: "Running", *, origin: str | None = None, csrf: str | None = None, sent: str | None = "the cookie's"
) -> dict[str, str]:
    csrf = up.csrf_token() if csrf is None else csrf
    headers = {"Cookie": f"__Host-cv_access={up.token()}; __Host-cv_csrf={csrf}"}
    headers["Origin"] = origin or f"http://{up.host}:{up.port}"
    if sent is not None:
        headers["X-CSRF-Token"] = csrf if sent == "the cookie's" else sent
    return headers


async def test_a_cookie_reads_without_a_csrf_token_and_writes_with_one(up: "Running") -> None:
    reading = {"Cookie": f"__Host-cv_access={up.token()}"}
    assert (await up.client.get(ME, headers=reading)).status_code == 200
    reply = await up.client.post("/api/v1/orders", json=ORDER, headers=browser(up))
    assert reply.status_code == 201, reply.text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sent": None}, "csrf_token_mismatch"),
        ({"sent": "token-2"}, "csrf_token_mismatch"),
        ({"csrf": "", "sent": ""}, "csrf_token_mismatch"),
        ({"origin": "https://evil.example"}, "origin_not_allowed"),
        ({"origin": "null"}, "origin_not_allowed"),
        ({"origin": "http://127.0.0.1.evil.example"}, "origin_not_allowed"),
        ({"origin": "file://127.0.0.1"}, "origin_not_allowed"),
    ],
)
async def test_another_sites_page_can_do_nothing_with_a_cookie(
    up: "Running", changes: dict[str, Any], reason: str
) -> None:
    reply = await up.client.post("/api/v1/orders", json=ORDER, headers=browser(up, **changes))
    assert checked(reply, 403, "AUTHORIZATION_ERROR") == {"reason": reason}
    assert up.platform.trading.commands == []


async def test_without_an_origin_a_cookie_changes_nothing(up: "Running") -> None:
    headers = browser(up)
    del headers["Origin"]
    checked(await up.client.post("/api/v1/orders", json=ORDER, headers=headers), 403, "AUTHORIZATION_ERROR")


async def test_a_cookie_that_comes_twice_counts_for_nothing(up: "Running") -> None:
    headers = {"Cookie": f"__Host-cv_access={up.token()}; __Host-cv_access=x"}
    checked(await up.client.get(ME, headers=headers), 401, "AUTHENTICATION_ERROR")


@pytest.mark.parametrize("before", ["\xa0", "\x85", "=", "a=b, "])
async def test_a_cookie_of_nearly_our_name_counts_for_nothing(up: "Running", before: str) -> None:
    # A browser holds no host of our domain back from a name that does not begin with `__Host-`.
    headers = [("Cookie", f"{before}__Host-cv_access={up.token()}".encode("latin-1"))]
    checked(await up.client.get(ME, headers=headers), 401, "AUTHENTICATION_ERROR")


async def test_listed_origins_may_call_with_cookies_and_others_may_not(start: "Start") -> None:
    async with start(cors_origins="https://app.example.com,https://two.example.com") as up:
        asked = {"Access-Control-Request-Method": "POST", "Origin": "https://app.example.com"}
        preflight = await up.client.options("/api/v1/orders", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.com"
        assert preflight.headers["access-control-allow-credentials"] == "true"
        assert "idempotency-key" in preflight.headers["access-control-allow-headers"].lower()
        reply = await up.client.get("/api/v1/prices", headers={"Origin": "https://two.example.com"})
        assert reply.headers["access-control-allow-origin"] == "https://two.example.com"
        reply = await up.client.post(
            "/api/v1/orders", json=ORDER, headers=browser(up, origin="https://app.example.com")
        )
        assert reply.status_code == 201
        for origin in ("https://app.example.com.evil.example", "http://app.example.com", "null", "*"):
            refused = await up.client.options("/api/v1/orders", headers={**asked, "Origin": origin})
            checked(refused, 403, "AUTHORIZATION_ERROR")
            reply = await up.client.get("/api/v1/prices", headers={"Origin": origin})
            assert "access-control-allow-origin" not in reply.headers
            assert reply.headers["vary"] == "Origin"


async def test_an_error_of_auth_about_a_second_factor_is_a_code_of_its_own(up: "Running") -> None:
    up.platform.auth.error = RemoteError(
        kind=ErrorKind.UNAUTHENTICATED, reason="mfa_required", message="A code is needed.", details={"challenge": "c-1"}
    )
    reply = await up.client.post("/api/v1/auth/login", json={"email": "a@b.c", "password": "x"})
    assert checked(reply, 401, "MFA_REQUIRED")["challenge"] == "c-1"
    assert (ISSUER, AUDIENCE) == ("http://127.0.0.1:18000", "cryptovault")
