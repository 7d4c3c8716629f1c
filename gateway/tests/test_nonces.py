"""Each signed request counts once, and near its time alone."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chassis.clock import SystemClock
from gateway.admission.signatures import NONCE_KEY_PREFIX, NONCE_MILLISECONDS, WINDOW_MILLISECONDS
from replies import checked
from signed_requests import signed
from sockets import connected

if TYPE_CHECKING:
    from conftest import Running, Start

SELF = "/api/v1/api-keys/self"


@pytest.mark.parametrize("seconds", [-31, 31, -3_600, 10**9])
async def test_a_timestamp_outside_the_window_is_refused(up: "Running", seconds: int) -> None:
    headers = signed("GET", SELF, timestamp=int((time.time() + seconds) * 1000))
    details = checked(await up.client.get(SELF, headers=headers), 401, "AUTHENTICATION_ERROR")
    assert details == {"reason": "timestamp_out_of_window"}
    near = signed("GET", SELF, timestamp=int(time.time() * 1000) - WINDOW_MILLISECONDS // 2)
    assert (await up.client.get(SELF, headers=near)).status_code == 200


async def test_a_nonce_is_good_once_at_all_gateways_together(start: "Start") -> None:
    async with start() as one, start() as two:
        headers = signed("GET", SELF)
        outcomes = await asyncio.gather(
            *(up.client.get(SELF, headers=headers) for up in (one, two) for _ in range(10)), return_exceptions=False
        )
        assert sorted(reply.status_code for reply in outcomes) == [200] + [401] * 19
        refused = next(reply for reply in outcomes if reply.status_code == httpx.codes.UNAUTHORIZED)
        assert checked(refused, 401, "AUTHENTICATION_ERROR") == {"reason": "nonce_used"}


async def test_a_redis_that_was_emptied_remembers_nonces_though_auth_says_who_may_come(
    start: "Start", redis: Any
) -> None:
    await redis.flushall()
    async with start() as one, start() as two:
        headers = signed("GET", SELF)
        assert (await one.client.get(SELF, headers=headers)).status_code == 200
        reply = await two.client.get(SELF, headers=headers)
        assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "nonce_used"}


class SetBack(SystemClock):
    """A clock that was set back, as an operator's or a restored virtual machine's is."""

    def __init__(self, milliseconds: int) -> None:
        self._back = timedelta(milliseconds=milliseconds)

    def now(self) -> datetime:
        return super().now() - self._back


async def test_a_gateway_whose_clock_is_set_back_takes_nothing_again_that_was_forgotten_meanwhile(
    start: "Start", redis: Any
) -> None:
    async with start() as up:
        headers = signed("GET", SELF)
        assert (await up.client.get(SELF, headers=headers)).status_code == 200
        [key] = await redis.keys(f"{NONCE_KEY_PREFIX}*")
        # To the end of the time in which it is taken, by the clock that forgets it.
        until = int(headers["X-API-Timestamp"]) + NONCE_MILLISECONDS
        assert abs(await redis.pexpiretime(key) - until) <= 1  # a script's time has begun a moment before
    async with start(clock=SetBack(NONCE_MILLISECONDS + 1)) as up:
        then = int(time.time() * 1000) - NONCE_MILLISECONDS - 1
        reply = await up.client.get(SELF, headers=signed("GET", SELF, timestamp=then))
        assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "timestamp_out_of_window"}


async def test_a_gateway_whose_clock_is_ahead_takes_nothing_that_is_forgotten_before_its_time_has_come(
    start: "Start", redis: Any
) -> None:
    ahead = 2 * NONCE_MILLISECONDS
    async with start(clock=SetBack(-ahead)) as up:
        then = int(time.time() * 1000) + ahead
        reply = await up.client.get(SELF, headers=signed("GET", SELF, timestamp=then))
        assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "timestamp_out_of_window"}
    assert await redis.keys(f"{NONCE_KEY_PREFIX}*") == []


@pytest.mark.parametrize("apart", [50_000, -50_000])
async def test_a_gateway_and_a_redis_whose_clocks_are_a_little_apart_get_on(start: "Start", apart: int) -> None:
    async with start(clock=SetBack(apart)) as up:
        then = int(time.time() * 1000) - apart
        for _ in range(2):
            headers = signed("GET", SELF, timestamp=then)
            assert (await up.client.get(SELF, headers=headers)).status_code == 200
        reply = await up.client.get(SELF, headers=headers)
        assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "nonce_used"}


async def test_a_flushed_or_absent_redis_makes_no_nonce_new_here(fresh: "Running", redis: Any, start: "Start") -> None:
    headers = signed("GET", SELF)
    assert (await fresh.client.get(SELF, headers=headers)).status_code == 200
    await redis.flushall()
    checked(await fresh.client.get(SELF, headers=headers), 401, "AUTHENTICATION_ERROR")
    async with start(redis_url="redis://127.0.0.1:1/0", ready=False) as up:
        headers = signed("GET", SELF)
        assert (await up.client.get(SELF, headers=headers)).status_code == 200
        checked(await up.client.get(SELF, headers=headers), 401, "AUTHENTICATION_ERROR")


async def test_a_sockets_nonce_is_good_once_too(fresh: "Running") -> None:
    headers = signed("GET", "/ws")
    async with connected(fresh, additional_headers=headers) as socket:
        await socket.send(op="ping")
        assert (await socket.read())["op"] == "pong"
    async with connected(fresh, additional_headers=headers) as socket:
        assert (await socket.read())["error"]["details"] == {"reason": "nonce_used"}
