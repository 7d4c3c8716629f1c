"""Requests that an API key has signed."""

import asyncio
import json
import time
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from auth_stand_in import api_key
from chassis.testing import eventually
from cryptovault.auth.v1 import auth_pb2
from facts import KEY, KEY_PERMISSIONS, KEY_SECRET, USER
from gateway.schemas import api_keys as schemas
from raw_http import raw
from replies import checked
from signed_requests import signed
from sockets import connected

if TYPE_CHECKING:
    from conftest import Running, Start

SELF = "/api/v1/api-keys/self"
ORDERS = "/api/v1/orders"
OTHER_KEY = "01890000-0000-7000-8000-0000000000bb"
PLACED = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}


async def test_a_signed_request_is_its_keys_owners_and_says_which_key_it_was(up: "Running") -> None:
    reply = await up.client.get(SELF, headers=signed("GET", SELF))
    key = schemas.ApiKey.model_validate_json(reply.content)
    assert (key.id, key.name, key.scopes) == (KEY, "bot", ["read", "trade"])
    reply = await up.client.get(f"{ORDERS}?limit=5", headers=signed("GET", ORDERS, query="limit=5"))
    assert reply.status_code == 200, reply.text
    caller = up.platform.queries.callers[-1]
    assert (caller.user_id, caller.session_id, caller.permissions) == (USER, None, frozenset(KEY_PERMISSIONS))


async def test_an_order_is_placed_with_its_body_signed_and_the_key_on_record(up: "Running") -> None:
    body = json.dumps(PLACED).encode()
    headers = {**signed("POST", ORDERS, body=body), "Content-Type": "application/json"}
    reply = await up.client.post(ORDERS, content=body, headers=headers)
    assert reply.status_code == 201, reply.text
    principal = up.platform.trading.commands[-1].principal
    assert (principal.user_id, principal.session_id) == (USER, f"key:{KEY}")


async def test_whatever_was_signed_must_be_what_is_asked(up: "Running") -> None:
    body = json.dumps(PLACED).encode()
    right = signed("POST", ORDERS, body=body)
    forged: list[dict[str, str]] = [
        signed("GET", ORDERS, body=body),
        signed("POST", SELF, body=body),
        signed("POST", ORDERS, query="a=b", body=body),
        signed("POST", ORDERS, body=body.replace(b"0.5", b"5.0")),
        signed("POST", ORDERS),
        signed("POST", ORDERS, body=body, secret="another secret"),
        signed("POST", ORDERS, body=body, secret=""),
        signed("POST", ORDERS, body=body, key="01890000-0000-7000-8000-0000000000ee"),
        {**right, "X-API-Nonce": "another-nonce"},
        {**right, "X-API-Timestamp": str(int(right["X-API-Timestamp"]) + 1)},
        {**right, "X-API-Signature": right["X-API-Signature"].upper()},
        {**right, "X-API-Signature": "0" * 64},
        {**right, "X-API-Signature": ""},
        {**right, "X-API-Signature": right["X-API-Signature"][:-2]},
        {**right, "X-API-Key": "' or 1=1"},
        {**right, "X-API-Key": KEY.upper()},
        {**right, "X-API-Nonce": "short"},
        {**right, "X-API-Nonce": "n" * 65},
        {**right, "X-API-Nonce": "with space"},
        {**right, "X-API-Timestamp": "now"},
        {**right, "X-API-Timestamp": "-1"},
        {**right, "X-API-Timestamp": "1e12"},
    ]
    forged += [{header: value for header, value in right.items() if header != name} for name in list(right)[1:]]
    for headers in forged:
        headers["Content-Type"] = "application/json"
        reply = await up.client.post(ORDERS, content=body, headers=headers)
        assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "invalid_signature"}, headers
    assert up.platform.trading.commands == []
    headers = {**right, "Content-Type": "application/json"}
    assert (await up.client.post(ORDERS, content=body, headers=headers)).status_code == 201


async def test_a_signature_counts_alone_whatever_else_the_request_carries(up: "Running") -> None:
    headers = {**signed("GET", SELF, secret="another secret"), **up.bearer()}
    checked(await up.client.get(SELF, headers=headers), 401, "AUTHENTICATION_ERROR")


async def test_a_key_that_runs_away_leaves_something_to_its_persons_others(start: "Start") -> None:
    async with start(limit_account_per_key=2, limit_account_per_user=4, limit_factor=1) as up:
        up.platform.auth.api_keys[OTHER_KEY] = auth_pb2.FindApiKeyResponse(
            key=api_key(OTHER_KEY), secret=KEY_SECRET, permissions=KEY_PERMISSIONS
        )
        for remaining in (1, 0):
            reply = await up.client.get(SELF, headers=signed("GET", SELF))
            assert (reply.status_code, reply.headers["ratelimit-limit"]) == (200, "2")
            assert reply.headers["ratelimit-remaining"] == str(remaining)
        details = checked(await up.client.get(SELF, headers=signed("GET", SELF)), 429, "RATE_LIMIT_EXCEEDED")
        assert details["limit"] == "2"
        # Another key, and the person; at last all of them together have had what one person may have.
        assert (await up.client.get(SELF, headers=signed("GET", SELF, key=OTHER_KEY))).status_code == 200
        assert (await up.client.get(ORDERS, headers=up.bearer())).headers["ratelimit-remaining"] == "0"
        details = checked(await up.client.get(ORDERS, headers=up.bearer()), 429, "RATE_LIMIT_EXCEEDED")
        assert details["limit"] == "4"


async def test_a_signed_request_costs_one_round_trip_to_redis_too(up: "Running", redis: Any) -> None:
    """Is the key ended, is there allowance for address, person and key, is the nonce new: one question."""
    await up.client.get(SELF, headers=signed("GET", SELF))
    async with redis.monitor() as monitor:
        await redis.ping()
        assert (await up.client.get(SELF, headers=signed("GET", SELF))).status_code == 200
        await redis.echo("end")
        asked: list[str] = []
        async for command in monitor.listen():
            if command["command"].startswith("ECHO"):
                break
            if command["client_type"] != "lua":
                asked.append(command["command"].partition(" ")[0])
    assert asked[asked.index("PING") + 1 :] == ["EVALSHA"]


async def test_a_key_does_what_its_permissions_say_and_nothing_about_the_account(fresh: "Running") -> None:
    for path in ("/api/v1/auth/me", "/api/v1/auth/sessions"):
        details = checked(await fresh.client.get(path, headers=signed("GET", path)), 403, "AUTHORIZATION_ERROR")
        assert details == {"reason": "api_key_not_allowed"}
    keys = "/api/v1/api-keys"
    details = checked(await fresh.client.get(keys, headers=signed("GET", keys)), 403, "AUTHORIZATION_ERROR")
    assert details == {"reason": "permission_required", "permission": "api-keys:write"}
    portfolio = "/api/v1/portfolio"
    checked(await fresh.client.get(portfolio, headers=signed("GET", portfolio)), 403, "AUTHORIZATION_ERROR")
    details = checked(
        await fresh.client.get(SELF, headers=fresh.bearer(scope="api-keys:read")), 403, "AUTHORIZATION_ERROR"
    )
    assert details == {"reason": "not_an_api_key"}


async def test_an_ended_key_is_refused_without_redis_too(start: "Start") -> None:
    async with start(redis_url="redis://127.0.0.1:1/0", ready=False) as up:
        assert (await up.client.get(SELF, headers=signed("GET", SELF))).status_code == 200
        up.platform.auth.revoked = {KEY}

        async def is_refused() -> bool:
            reply = await up.client.get(SELF, headers=signed("GET", SELF))
            return reply.status_code == 401 and reply.json()["error"]["details"]["reason"] == "api_key_revoked"

        await eventually(is_refused)


async def test_an_ended_key_is_refused_at_once_though_it_is_remembered(fresh: "Running", redis: Any) -> None:
    assert (await fresh.client.get(SELF, headers=signed("GET", SELF))).status_code == 200
    await redis.set(f"cryptovault:blacklist:{KEY}", b"1", ex=60)
    for _ in range(2):
        reply = await fresh.client.get(SELF, headers=signed("GET", SELF))
        assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "api_key_revoked"}
        await redis.flushall()
    assert fresh.platform.auth.found_keys == [KEY]


async def test_an_expired_key_is_refused_though_it_is_remembered(fresh: "Running") -> None:
    found = fresh.platform.auth.api_keys[KEY]
    found.key.expires_at.seconds = int(time.time()) + 1
    assert (await fresh.client.get(SELF, headers=signed("GET", SELF))).status_code == 200
    await asyncio.sleep(max(0, found.key.expires_at.seconds - time.time()))
    checked(await fresh.client.get(SELF, headers=signed("GET", SELF)), 401, "AUTHENTICATION_ERROR")


@pytest.mark.parametrize(
    ("networks", "allowed"),
    [
        (["127.0.0.1"], True),
        (["203.0.113.0/24", "127.0.0.0/8"], True),
        (["203.0.113.0/24"], False),
        (["::/0"], False),
    ],
)
async def test_a_key_comes_from_its_networks_alone_on_the_socket_too(
    fresh: "Running",
    networks: list[str],
    allowed: bool,  # noqa: FBT001
) -> None:
    assert [ip_network(network) for network in networks]
    fresh.platform.auth.api_keys[KEY].key.CopyFrom(api_key(networks=networks))
    reply = await fresh.client.get(SELF, headers=signed("GET", SELF))
    if not allowed:
        assert checked(reply, 403, "AUTHORIZATION_ERROR") == {"reason": "address_not_allowed"}
    else:
        assert reply.status_code == 200
    headers = signed("GET", "/ws")
    async with connected(fresh, additional_headers=headers) as socket:
        if allowed:
            await socket.send(op="subscribe", channel="balances")
            assert (await socket.read())["channel"] == "balances"
        else:
            assert (await socket.read())["error"]["details"] == {"reason": "address_not_allowed"}


@pytest.mark.parametrize(("network", "status"), [("203.0.113.0/24", 200), ("::/48", 403), ("203.0.112.0/24", 403)])
async def test_an_address_of_ipv4_is_one_however_a_proxy_writes_it(start: "Start", network: str, status: int) -> None:
    async with start(trusted_proxies="127.0.0.0/8") as up:
        up.platform.auth.api_keys[KEY].key.CopyFrom(api_key(networks=[network]))
        headers = {**signed("GET", SELF), "X-Forwarded-For": "::ffff:203.0.113.9"}
        assert (await up.client.get(SELF, headers=headers)).status_code == status


async def test_a_flood_of_made_up_keys_is_no_flood_on_auth(fresh: "Running") -> None:
    made_up = "01890000-0000-7000-8000-0000000000ee"
    for _ in range(20):
        await fresh.client.get(SELF, headers=signed("GET", SELF, key=made_up))
    assert fresh.platform.auth.found_keys == [made_up]


async def test_nor_is_a_flood_of_ever_other_made_up_keys_and_those_who_have_one_go_on(fresh: "Running") -> None:
    assert (await fresh.client.get(SELF, headers=signed("GET", SELF))).status_code == 200
    asked = len(fresh.platform.auth.found_keys)
    replies = [
        await fresh.client.get(SELF, headers=signed("GET", SELF, key=f"01890000-0000-7000-8000-{number:012x}"))
        for number in range(200)
    ]
    checked(replies[0], 401, "AUTHENTICATION_ERROR")
    assert checked(replies[-1], 429, "RATE_LIMIT_EXCEEDED")["reason"] == "rate_limited"
    assert len(fresh.platform.auth.found_keys) - asked < 150
    assert (await fresh.client.get(SELF, headers=signed("GET", SELF))).status_code == 200


async def test_a_stranger_is_refused_without_waiting_for_the_body(up: "Running") -> None:
    for headers in (signed("POST", ORDERS, key="01890000-0000-7000-8000-0000000000ef"), {"X-API-Key": "x"}):
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST {ORDERS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{lines}Content-Length: 9\r\n\r\n"
        )
        assert (await raw(up, head.encode(), wait=False)).startswith(b"HTTP/1.1 401 ")


async def test_guessing_signatures_is_counted_against_the_address(start: "Start") -> None:
    async with start(limit_account_per_address=2, limit_factor=1) as up:
        for _ in range(2):
            reply = await up.client.get(SELF, headers=signed("GET", SELF, secret="a guess"))
            checked(reply, 401, "AUTHENTICATION_ERROR")
        checked(await up.client.get(SELF, headers=signed("GET", SELF)), 429, "RATE_LIMIT_EXCEEDED")
