"""How often who may: limits per address, user and key, the one question to Redis, and what goes on without it."""

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chassis.testing import FixedClock
from facts import PERMISSIONS
from gateway.admission import admission
from gateway.admission.gate import GateClosed, LimitKey, RedisGate
from gateway.admission.limits import LocalLimits
from gateway.admission.policy import LimitClass
from gateway.admission.redis_line import RedisLine
from replies import checked
from sockets import connected

if TYPE_CHECKING:
    from conftest import Running, Start

ME = "/api/v1/auth/me"
ADMIN = "/api/v1/admin/markets"
ORDER = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}


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


async def test_operators_have_limits_of_their_own_by_user_and_by_address(start: "Start") -> None:
    scope = " ".join((*PERMISSIONS, "markets:write"))
    async with start(limit_account_per_user=1, limit_admin_per_user=2, limit_admin_per_address=3, limit_factor=1) as up:
        operator, other = up.bearer(scope=scope), up.bearer(scope=scope, sub="other", sid="s2")
        assert (await up.client.get(ME, headers=operator)).status_code == 200
        checked(await up.client.get(ME, headers=operator), 429, "RATE_LIMIT_EXCEEDED")
        for remaining in (1, 0):
            reply = await up.client.get(ADMIN, headers=operator)
            assert (reply.status_code, reply.headers["ratelimit-limit"]) == (200, "2")
            assert reply.headers["ratelimit-remaining"] == str(remaining)
        checked(await up.client.get(ADMIN, headers=operator), 429, "RATE_LIMIT_EXCEEDED")
        assert (await up.client.get(ADMIN, headers=other)).headers["ratelimit-limit"] == "3"
        details = checked(await up.client.get(ADMIN, headers=other), 429, "RATE_LIMIT_EXCEEDED")
        assert details["limit"] == "3"


async def test_all_that_operators_do_and_nothing_else_is_of_their_class(up: "Running") -> None:
    routes = up.gateway.application.endpoints
    of_class = {route.operation_id for route in routes if route.limit is LimitClass.ADMIN}
    assert len(of_class) >= 6
    assert of_class == {route.operation_id for route in routes if route.path.startswith("/api/v1/admin/")}


async def test_guessing_tokens_is_counted_against_the_address(start: "Start") -> None:
    async with start(limit_account_per_address=2, limit_factor=1) as up:
        headers = {"Authorization": "Bearer guess"}
        for _ in range(2):
            checked(await up.client.get(ME, headers=headers), 401, "AUTHENTICATION_ERROR")
        checked(await up.client.get(ME, headers=headers), 429, "RATE_LIMIT_EXCEEDED")


async def test_guessing_tokens_by_opening_sockets_is_counted_too(start: "Start") -> None:
    async with start(limit_account_per_address=2, limit_factor=1) as up:
        for code in (4401, 4401, 4429):
            async with connected(up, additional_headers={"Authorization": "Bearer guess"}) as socket:
                assert await socket.closed_with() == code
        checked(await up.client.get(ME, headers=up.bearer()), 429, "RATE_LIMIT_EXCEEDED")


async def test_sockets_are_opened_so_often_by_person_and_by_address(start: "Start") -> None:
    async with start(limit_account_per_user=1, limit_market_data_per_address=1, limit_factor=1, ready=False) as up:
        for headers in (up.bearer(), {}):
            async with connected(up, additional_headers=headers) as socket:
                await socket.send(op="ping")
                assert await socket.read() == {"op": "pong"}
            async with connected(up, additional_headers=headers) as socket:
                message = await socket.read()
                assert message["error"]["code"] == "RATE_LIMIT_EXCEEDED"
                assert message["error"]["details"]["limit"] == "1"
                assert await socket.closed_with() == 4429


async def test_a_session_that_is_over_opens_no_way_around_the_limit_of_its_address(start: "Start", redis: Any) -> None:
    """Nor can who kept its token spend what its owner has."""
    limits = {"limit_auth_per_address": 3, "limit_account_per_address": 3, "limit_account_per_user": 3}
    async with start(**limits, limit_factor=1) as up:
        ended = up.bearer(sid="ended")
        await redis.set("cryptovault:blacklist:ended", b"1", ex=60)
        for _ in range(2):
            reply = await up.client.get(ME, headers=ended)
            assert checked(reply, 401, "AUTHENTICATION_ERROR")["reason"] == "session_revoked"
            assert reply.headers["ratelimit-limit"] == "3"
        owner = await up.client.get(ME, headers=up.bearer(sid="another"))
        # The third of the address, but the first of the person.
        assert (owner.status_code, owner.headers["ratelimit-remaining"]) == (200, "0")
        checked(await up.client.get(ME, headers=ended), 429, "RATE_LIMIT_EXCEEDED")
        # Where nobody need be signed in, too: the links that freeze can be guessed at there.
        for _ in range(3):
            assert (await up.client.post("/api/v1/auth/freeze", json={"token": "x"}, headers=ended)).status_code == 202
        checked(
            await up.client.post("/api/v1/auth/freeze", json={"token": "x"}, headers=ended), 429, "RATE_LIMIT_EXCEEDED"
        )


async def test_who_keeps_the_token_of_an_ended_session_spends_nothing_of_its_owners(redis: Any, redis_url: str) -> None:
    gate = RedisGate(RedisLine(redis_url), FixedClock())
    await redis.set("revoked:ended", b"1")
    address, user = LimitKey("limit:address", 2), LimitKey("limit:user", 2)
    answers = [await gate.ask(["revoked:ended"], (address, user)) for _ in range(3)]
    assert [(one.revoked, one.verdicts[0].allowed) for one in answers] == [(True, True), (True, True), (True, False)]
    assert (await gate.ask((), (user,))).verdicts[0].remaining == 1
    await gate.close()


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


async def test_without_redis_too_a_refused_request_spends_of_no_limit(start: "Start") -> None:
    async with start(
        redis_url="redis://127.0.0.1:1/0", ready=False, limit_account_per_user=1, limit_account_per_address=3,
        limit_factor=1,
    ) as up:  # fmt: skip
        assert (await up.client.get(ME, headers=up.bearer())).status_code == 200
        for _ in range(5):
            details = checked(await up.client.get(ME, headers=up.bearer()), 429, "RATE_LIMIT_EXCEEDED")
            assert details["limit"] == "1"
        reply = await up.client.get(ME, headers=up.bearer(sub="other", sid="s2"))
        assert reply.status_code == 200, reply.text


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


@pytest.mark.parametrize("answer", [b"+OK\r\n", b"*1\r\n:0\r\n", b"*5\r\n:0\r\n:0\r\n:0\r\n:0\r\n+x\r\n", b"*0\r\n"])
async def test_an_answer_that_is_none_closes_the_gate_and_leaves_nobody_waiting(answer: bytes) -> None:
    """Something else listens where Redis was, say."""

    async def answer_wrongly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(answer_wrongly, "127.0.0.1", 0) as server:
        gate = RedisGate(RedisLine(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"), FixedClock())
        async with asyncio.timeout(10):
            asked = [gate.ask((), (LimitKey("k", 1),)) for _ in range(70)]
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {GateClosed}
        await gate.close()


async def test_who_waits_when_the_gate_is_closed_for_good_is_told(redis: Any, redis_url: str) -> None:
    gate = RedisGate(RedisLine(redis_url), FixedClock())
    await gate.ask((), (LimitKey("k", 100),))
    await redis.client_pause(300)
    asked = [asyncio.create_task(gate.ask((), (LimitKey("k", 100),))) for _ in range(70)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await gate.close()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {GateClosed}


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
