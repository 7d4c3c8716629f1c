"""Who comes in: tokens, cookies, revoked sessions, limits, and what goes on without Redis."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import FixedClock, eventually
from gateway.admission import admission
from gateway.admission.gate import GateClosed, LimitKey, RedisGate
from gateway.admission.limits import LocalLimits
from gateway.admission.redis_line import RedisLine
from joserfc import jwt
from joserfc.jwk import OctKey
from replies import checked
from stand_ins import AUDIENCE, ISSUER, SESSION, USER, Minter

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
    up: "Running", *, origin: str | None = None, csrf: str = "token-1", sent: str | None = "token-1"
) -> dict[str, str]:
    headers = {"Cookie": f"__Host-cv_access={up.token()}; __Host-cv_csrf={csrf}"}
    headers["Origin"] = origin or f"http://{up.host}:{up.port}"
    if sent is not None:
        headers["X-CSRF-Token"] = sent
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


# Limits.


async def test_limits_show_and_end_in_429(start: "Start") -> None:
    async with start(limit_account_per_user=3, limit_factor=1) as up:
        headers = up.bearer()
        for remaining in (2, 1, 0):
            reply = await up.client.get(ME, headers=headers)
            assert reply.status_code == 200
            assert reply.headers["ratelimit-limit"] == "3"
            assert reply.headers["ratelimit-remaining"] == str(remaining)
            assert 1 <= int(reply.headers["ratelimit-reset"]) <= 60
        reply = await up.client.get(ME, headers=headers)
        details = checked(reply, 429, "RATE_LIMIT_EXCEEDED")
        assert details["reason"] == "rate_limited"
        assert 1 <= int(reply.headers["retry-after"]) <= 20
        assert reply.headers["ratelimit-remaining"] == "0"
        # Another user at the same address, and another class, have their own.
        assert (await up.client.get(ME, headers=up.bearer(sub="other", sid="s2"))).status_code == 200
        assert (await up.client.post("/api/v1/orders", json=ORDER, headers=headers)).status_code == 201


async def test_limits_are_shared_by_all_gateways(start: "Start") -> None:
    async with (
        start(limit_auth_per_address=2, limit_factor=1) as one,
        start(limit_auth_per_address=2, limit_factor=1) as two,
    ):
        body = {"email": "ada@example.com"}
        assert (await one.client.post("/api/v1/auth/resend-code", json=body)).status_code == 202
        assert (await two.client.post("/api/v1/auth/resend-code", json=body)).status_code == 202
        for up in (one, two):
            checked(await up.client.post("/api/v1/auth/resend-code", json=body), 429, "RATE_LIMIT_EXCEEDED")


async def test_guessing_tokens_is_counted_against_the_address(start: "Start") -> None:
    async with start(limit_account_per_address=2, limit_factor=1) as up:
        headers = {"Authorization": "Bearer guess"}
        for _ in range(2):
            checked(await up.client.get(ME, headers=headers), 401, "AUTHENTICATION_ERROR")
        checked(await up.client.get(ME, headers=headers), 429, "RATE_LIMIT_EXCEEDED")


async def test_without_redis_reads_and_orders_go_on_and_sign_in_does_not(start: "Start") -> None:
    async with start(
        redis_url="redis://127.0.0.1:1/0", ready=False, sign_in_patience_seconds=0.2, limit_account_per_user=2,
        limit_factor=1,
    ) as up:  # fmt: skip
        await up.prices_known()
        checked(
            await up.client.post("/api/v1/auth/login", json={"email": "a@b.c", "password": "x"}), 503,
            "SERVICE_UNAVAILABLE",
        )  # fmt: skip
        assert up.platform.auth.requests == []
        assert (await up.client.get("/api/v1/prices")).status_code == 200
        assert (await up.client.post("/api/v1/orders", json=ORDER, headers=up.bearer())).status_code == 201
        for _ in range(2):
            assert (await up.client.get(ME, headers=up.bearer())).status_code == 200
        checked(await up.client.get(ME, headers=up.bearer()), 429, "RATE_LIMIT_EXCEEDED")
        health = await up.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "down")
        assert health.json()["checks"]["redis"]["status"] == "down"


async def test_a_redis_that_stalls_for_a_moment_delays_a_sign_in_and_nothing_else(start: "Start", redis: Any) -> None:
    async with start(sign_in_patience_seconds=30) as up:
        # For the gate, which waits half a second, it is gone; then it is back.
        await redis.client_pause(1_500)
        signing_in = asyncio.create_task(
            up.client.post("/api/v1/auth/login", json={"email": "a@b.c", "password": "x", "delivery": "body"})
        )
        order = await up.client.post("/api/v1/orders", json=ORDER, headers=up.bearer())
        assert (order.status_code, signing_in.done()) == (201, False), order.text
        signed_in = await signing_in
        assert signed_in.status_code == 200, signed_in.text


async def test_only_so_many_sign_ins_wait_for_redis(start: "Start", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_PATIENT_MAX", 2)
    async with start(redis_url="redis://127.0.0.1:1/0", ready=False, sign_in_patience_seconds=30) as up:
        body = {"email": "a@b.c", "password": "x"}
        waiting = {asyncio.create_task(up.client.post("/api/v1/auth/login", json=body)) for _ in range(5)}
        refused: set[asyncio.Task[httpx.Response]] = set()
        while len(refused) < 3:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        assert len(waiting) == 2
        for task in waiting:
            task.cancel()
        for reply in refused:
            checked(reply.result(), 503, "SERVICE_UNAVAILABLE")


async def test_the_gate_answers_many_at_once_as_if_one_by_one(redis: Any, redis_url: str) -> None:
    gate = RedisGate(RedisLine(redis_url), FixedClock())
    await redis.set("revoked:1", b"1")
    limits = [LimitKey("limit:a", 50)]
    answers = await asyncio.gather(*(gate.ask((), limits) for _ in range(200)))
    assert sum(answer.verdicts[0].allowed for answer in answers) == 50
    assert [answer.verdicts[0].remaining for answer in answers[:50]] == list(range(49, -1, -1))
    one, two = await asyncio.gather(gate.ask(["revoked:1"], ()), gate.ask(["revoked:2"], ()))
    assert (one.revoked, two.revoked) == (True, False)
    await gate.close()


async def test_a_refused_request_spends_of_no_limit(redis_url: str) -> None:
    gate = RedisGate(RedisLine(redis_url), FixedClock())
    small, large = LimitKey("limit:small", 1), LimitKey("limit:large", 10)
    assert all(verdict.allowed for verdict in (await gate.ask((), (small, large))).verdicts)
    for _ in range(5):
        refused = await gate.ask((), (small, large))
        assert [verdict.allowed for verdict in refused.verdicts] == [False, True]
        assert refused.verdicts[0].retry_after_seconds > 50
    assert (await gate.ask((), (large,))).verdicts[0].remaining == 8
    await gate.close()


async def test_a_gate_without_redis_is_closed_and_opens_again_by_itself(redis_url: str) -> None:
    clock = FixedClock()
    dead = RedisGate(RedisLine("redis://127.0.0.1:1/0"), clock)
    with pytest.raises(GateClosed):
        await dead.ask((), (LimitKey("k", 1),))
    with pytest.raises(GateClosed):
        await dead.ask((), (LimitKey("k", 1),))
    other = RedisGate(RedisLine(redis_url), clock)
    dead._script = other._script
    clock.advance(2)
    assert (await dead.ask((), (LimitKey("k", 1),))).verdicts[0].allowed
    await dead.close()
    await other.close()


def test_local_limits_give_a_minutes_worth_at_once_and_then_evenly() -> None:
    limits = LocalLimits()
    second = 1_000_000
    assert [limits.take("k", limit=60, now_microseconds=0).allowed for _ in range(61)] == [True] * 60 + [False]
    assert not limits.take("k", limit=60, now_microseconds=second - 1).allowed
    assert limits.take("k", limit=60, now_microseconds=second).allowed
    assert not limits.take("k", limit=60, now_microseconds=second).allowed
    assert limits.take("other", limit=60, now_microseconds=0).allowed


def test_local_limits_forget_the_oldest_key_first() -> None:
    limits = LocalLimits(keys_max=2)
    for key in ("a", "b", "c"):
        limits.take(key, limit=1, now_microseconds=0)
    assert limits.take("a", limit=1, now_microseconds=0).allowed
    assert not limits.take("c", limit=1, now_microseconds=0).allowed


async def test_an_error_of_auth_about_a_second_factor_is_a_code_of_its_own(up: "Running") -> None:
    up.platform.auth.error = RemoteError(
        kind=ErrorKind.UNAUTHENTICATED, reason="mfa_required", message="A code is needed.", details={"challenge": "c-1"}
    )
    reply = await up.client.post("/api/v1/auth/login", json={"email": "a@b.c", "password": "x"})
    assert checked(reply, 401, "MFA_REQUIRED")["challenge"] == "c-1"
    assert (ISSUER, AUDIENCE) == ("http://127.0.0.1:18000", "cryptovault")
