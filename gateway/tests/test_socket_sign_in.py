"""Who a WebSocket speaks for: by token or cookie, for as long as the session lives."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from facts import SESSION
from sockets import connected, signed_in

if TYPE_CHECKING:
    from conftest import Running


@pytest.mark.parametrize("claims", [{"exp": 1}, {"iss": "https://evil.example"}, {"type": "refresh"}, {"sid": None}])
async def test_a_bad_token_closes_with_4401(up: "Running", claims: dict[str, Any]) -> None:
    async with connected(up) as socket:
        await socket.send(op="auth", token=up.token(**claims))
        error = await socket.read()
        assert error["error"]["code"] == "AUTHENTICATION_ERROR"
        assert await socket.closed_with() == 4401


async def test_a_browser_is_signed_in_by_cookie_from_its_own_origin(up: "Running") -> None:
    cookie = {"Cookie": f"__Host-cv_access={up.token()}"}
    async with connected(up, additional_headers=cookie, origin=f"http://{up.host}:{up.port}") as socket:
        await socket.send(op="subscribe", channel="balances")
        assert (await socket.read())["type"] == "snapshot"


async def test_a_cookie_from_another_origin_closes_with_4403(up: "Running") -> None:
    cookie = {"Cookie": f"__Host-cv_access={up.token()}"}
    async with connected(up, additional_headers=cookie, origin="https://evil.example") as socket:
        assert await socket.closed_with() == 4403
    async with connected(up, additional_headers=cookie) as socket:
        assert await socket.closed_with() == 4403


async def test_a_bad_cookie_closes_with_4401(up: "Running") -> None:
    cookie = {"Cookie": "__Host-cv_access=nonsense"}
    async with connected(up, additional_headers=cookie, origin=f"http://{up.host}:{up.port}") as socket:
        assert await socket.closed_with() == 4401


async def test_the_end_of_the_token_closes_the_socket(up: "Running") -> None:
    async with signed_in(up, exp=up.now() + 2) as socket:
        await socket.send(op="subscribe", channel="balances")
        await socket.read()
        assert await socket.closed_with() == 4401


async def test_a_new_token_keeps_the_socket_open(up: "Running") -> None:
    async with signed_in(up, exp=up.now() + 2) as socket:
        await socket.send(op="auth", token=up.token())
        await socket.send(op="ping")
        assert await socket.read() == {"op": "pong"}
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await socket.connection.recv()


async def test_another_users_token_is_refused_on_the_same_socket(up: "Running") -> None:
    async with signed_in(up) as socket:
        await socket.send(op="auth", token=up.token(sub="somebody-else"))
        assert (await socket.read())["error"]["details"]["rule"] == "same_user"


async def test_a_revoked_session_closes_its_sockets_within_a_second(fresh: "Running", redis: Any) -> None:
    async with signed_in(fresh) as socket, signed_in(fresh, sid="another-session") as other:
        for one in (socket, other):
            await one.send(op="ping")
            await one.read()
        await redis.set(f"cryptovault:blacklist:{SESSION}", b"1", ex=60)
        async with asyncio.timeout(5):
            assert await socket.closed_with() == 4401
        await other.send(op="ping")
        assert await other.read() == {"op": "pong"}
