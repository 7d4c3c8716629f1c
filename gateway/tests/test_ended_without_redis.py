"""A session that is over stays so while Redis does not answer, or has lost what it knew: then auth says which are
(decisions 0107, 0109).
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from chassis.clock import SystemClock
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import FixedClock, eventually
from cryptovault.auth.v1 import auth_pb2
from facts import SESSION
from gateway.admission.revocations import AuthsRevocations
from replies import checked
from sockets import connected

if TYPE_CHECKING:
    from conftest import Running, Start

ORDERS = "/api/v1/orders"
PLACED = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}
OTHER_SESSION = "01890000-0000-7000-8000-0000000000cc"
NO_REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture(params=["away", "emptied"])
async def redis_that_does_not_know(request: pytest.FixtureRequest, redis: Any, redis_url: str) -> str:
    await redis.flushall()
    return NO_REDIS if request.param == "away" else redis_url


def asked_about(up: "Running") -> list[list[str]]:
    return [list(one.ids) for one in up.platform.auth.requests if isinstance(one, auth_pb2.ListRevokedRequest)]


async def test_an_ended_session_does_nothing(start: "Start", redis_that_does_not_know: str) -> None:
    async with start(redis_url=redis_that_does_not_know, ready=False) as up:
        await up.prices_known()
        up.platform.auth.revoked = {OTHER_SESSION}
        ended = up.bearer(sid=OTHER_SESSION)
        for _ in range(2):
            for reply in (
                await up.client.get(ORDERS, headers=ended),
                await up.client.post(ORDERS, json=PLACED, headers=ended),
            ):
                assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "session_revoked"}
        assert up.platform.trading.commands == []
        # Once: what is over stays so.
        assert asked_about(up) == [[OTHER_SESSION]]
        assert (await up.client.post(ORDERS, json=PLACED, headers=up.bearer())).status_code == 201


async def test_a_redis_that_was_emptied_is_believed_again_when_auth_has_filled_it(fresh: "Running", redis: Any) -> None:
    await redis.flushall()
    fresh.platform.auth.error = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Not now.")
    checked(await fresh.client.get(ORDERS, headers=fresh.bearer()), 503, "SERVICE_UNAVAILABLE")
    await redis.set("cryptovault:blacklist-loaded", b"1")
    assert (await fresh.client.get(ORDERS, headers=fresh.bearer())).status_code == 200
    assert asked_about(fresh) == [[SESSION]]


async def test_who_keeps_its_token_spends_nothing_of_its_owners_allowance(start: "Start") -> None:
    async with start(redis_url=NO_REDIS, ready=False, limit_account_per_user=2, limit_factor=1) as up:
        await up.prices_known()
        up.platform.auth.revoked = {OTHER_SESSION}
        for _ in range(3):
            checked(await up.client.get(ORDERS, headers=up.bearer(sid=OTHER_SESSION)), 401, "AUTHENTICATION_ERROR")
        assert (await up.client.get(ORDERS, headers=up.bearer())).headers["ratelimit-remaining"] == "1"


async def test_auth_is_asked_once_a_second_about_a_session_that_lives(
    start: "Start", redis_that_does_not_know: str
) -> None:
    async with start(redis_url=redis_that_does_not_know, ready=False) as up:
        await up.prices_known()
        for _ in range(20):
            assert (await up.client.get(ORDERS, headers=up.bearer())).status_code == 200
        assert 1 <= len(asked_about(up)) <= 5
        up.platform.auth.revoked = {SESSION}

        async def is_over() -> bool:
            return (await up.client.get(ORDERS, headers=up.bearer())).status_code == 401

        await eventually(is_over)


async def test_without_auth_too_nobody_is_let_in_by_a_session_that_may_be_over(
    start: "Start", redis_that_does_not_know: str
) -> None:
    async with start(redis_url=redis_that_does_not_know, ready=False) as up:
        await up.prices_known()
        assert (await up.client.get(ORDERS, headers=up.bearer())).status_code == 200
        up.platform.auth.error = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Not now.")
        checked(await up.client.get(ORDERS, headers=up.bearer(sid=OTHER_SESSION)), 503, "SERVICE_UNAVAILABLE")
        assert (await up.client.get("/api/v1/prices")).status_code == 200


async def test_nor_is_a_socket_closed_because_nobody_can_say_whether_it_may_stay(
    start: "Start", redis_that_does_not_know: str
) -> None:
    async with (
        start(redis_url=redis_that_does_not_know, ready=False) as up,
        connected(up, additional_headers=up.bearer()) as socket,
    ):
        await socket.send(op="ping")
        assert (await socket.read())["op"] == "pong"
        up.platform.auth.error = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Not now.")
        asked = len(asked_about(up))
        await eventually(lambda: len(asked_about(up)) > asked + 1)
        await socket.send(op="ping")
        assert (await socket.read())["op"] == "pong"


async def test_the_sockets_of_an_ended_session_close_and_others_stay(
    start: "Start", redis_that_does_not_know: str
) -> None:
    async with (
        start(redis_url=redis_that_does_not_know, ready=False) as up,
        connected(up, additional_headers=up.bearer()) as living,
        connected(up, additional_headers=up.bearer(sid=OTHER_SESSION)) as ended,
    ):
        for socket in (living, ended):
            await socket.send(op="ping")
            assert (await socket.read())["op"] == "pong"  # both are let in
        up.platform.auth.revoked = {OTHER_SESSION}
        assert await ended.closed_with() == 4401
        await living.send(op="ping")
        assert (await living.read())["op"] == "pong"


async def test_that_an_emptied_redis_knows_of_one_end_says_nothing_of_others(start: "Start", redis: Any) -> None:
    await redis.flushall()
    await redis.set(f"cryptovault:blacklist:{SESSION}", b"1")
    async with start() as up:
        up.platform.auth.revoked = {OTHER_SESSION}
        ended = await up.gateway.application._admission.ended_sessions([SESSION, OTHER_SESSION])
        assert ended == {SESSION, OTHER_SESSION}


async def test_who_asks_within_a_moment_asks_together() -> None:
    asked: list[list[str]] = []

    async def fetch(ids: Sequence[str]) -> set[str]:
        asked.append(list(ids))
        await asyncio.sleep(0.05)
        return {"7"}

    revocations = AuthsRevocations(fetch, SystemClock())
    impatient = asyncio.create_task(revocations.among(["0"]))
    everybody = [asyncio.create_task(revocations.among([str(number)])) for number in (*range(300), 7)]
    await eventually(lambda: asked)
    impatient.cancel()
    answers = await asyncio.gather(*everybody)
    assert sorted(len(ids) for ids in asked) == [44, 256]
    assert [number for number, ended in enumerate(answers) if ended] == [7, 300]
    # And of those that live it is believed for a second.
    assert await revocations.among(["8"]) == set()
    assert len(asked) == 2
    # A moment is longer than one turn of the loop.
    later = []
    for number in range(400, 410):
        later.append(asyncio.create_task(revocations.among([str(number)])))
        await asyncio.sleep(0)
    await asyncio.gather(*later)
    assert len(asked) <= 5


async def test_that_one_lives_is_believed_for_a_second_from_when_it_was_asked() -> None:
    """The answer may take a second itself, and tells nothing of what has ended meanwhile."""
    clock, asked = FixedClock(), []

    async def fetch(ids: Sequence[str]) -> set[str]:
        asked.append(list(ids))
        clock.advance(0.9)
        return set()

    revocations = AuthsRevocations(fetch, clock)
    await revocations.among(["1"])
    clock.advance(0.09)
    await revocations.among(["1"])
    assert len(asked) == 1
    clock.advance(0.02)
    await revocations.among(["1"])
    assert len(asked) == 2
