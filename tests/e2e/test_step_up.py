"""A withdrawal's second factor, judged by the real auth: of the route that will be, at a gateway of this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from chassis.clock import SystemClock
from chassis.ids import RandomIds
from chassis.mongo import connect
from gateway.admission.policy import Access, LimitClass
from gateway.bootstrap import build, connection_limits, run
from gateway.edge.http_server import HttpServer
from gateway.routes.endpoint import API, Endpoint
from gateway.settings import GatewaySettings
from local_stack.platform import Platform
from starlette.requests import Request
from starlette.responses import Response

from tests.credentials import enrolled, signed
from tests.customers import Customer
from tests.error_shape import assert_error

WITHDRAWALS = f"{API}/wallet/withdrawals"
FIVE_MINUTES = timedelta(minutes=5)


async def _withdraw(_request: Request) -> Response:
    return Response(status_code=204)


@pytest.fixture
async def door(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A second gateway of the platform, where one can withdraw."""
    told = {name.removeprefix("CRYPTOVAULT_").lower(): text for name, text in platform.environment("gateway").items()}
    known = {name: text for name, text in told.items() if name in GatewaySettings.model_fields}
    settings = GatewaySettings.model_validate(known)
    gateway = build(settings, identity=platform.identity("gateway"), clock=SystemClock(), ids=RandomIds())
    gateway.application._add(
        Endpoint(
            method="POST", path=WITHDRAWALS, handler=_withdraw, access=Access.USER, limit=LimitClass.TRADING,
            permission="wallet:withdraw", operation_id="withdraw", summary="Withdraw", tag="wallet",
        )
    )  # fmt: skip
    server = HttpServer(gateway.door, host="127.0.0.1", port=0, connections=connection_limits(settings), stop_seconds=1)
    running = asyncio.create_task(run(gateway, server))
    try:
        port = await server.listening()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await gateway.close()


async def test_a_withdrawal_takes_a_second_factor_of_the_last_five_minutes(
    door: httpx.AsyncClient, customer: Customer, platform: Platform
) -> None:
    async def refused() -> str:
        reply = await door.post(WITHDRAWALS, headers=customer.bearer)
        details = assert_error(reply, 403, "AUTHORIZATION_ERROR")
        assert details["reason"] == "step_up_required"
        two_factor: str = details["two_factor"]
        return two_factor

    assert await refused() == "disabled"
    phone, _ = await enrolled(customer)
    assert await refused() == "enabled", "switching it on is no step-up"
    reply = await door.post(f"{API}/auth/step-up", json={"code": phone.code()}, headers=customer.bearer)
    assert reply.status_code == 200, reply.text
    assert (await door.post(WITHDRAWALS, headers=customer.bearer)).status_code == 204
    await let_pass(platform, customer, FIVE_MINUTES)
    assert await refused() == "enabled"


async def test_a_key_withdraws_if_that_is_its_scope(door: httpx.AsyncClient, customer: Customer) -> None:
    phone, _ = await enrolled(customer)
    assert (await customer.send("POST", "/auth/step-up", {"code": phone.code()})).status_code == 200
    for scope, status in (("read", 403), ("transfer", 403), ("withdraw", 204)):
        wanted = {"name": scope, "scopes": [scope], "networks": ["127.0.0.1/32"]}
        key = (await customer.send("POST", "/api-keys", wanted)).json()
        reply = await door.post(WITHDRAWALS, headers=signed(key, "POST", WITHDRAWALS))
        assert reply.status_code == status, reply.text
        if status == 403:
            details = assert_error(reply, 403, "AUTHORIZATION_ERROR")
            assert details == {"reason": "permission_required", "permission": "wallet:withdraw"}


async def let_pass(platform: Platform, customer: Customer, time: timedelta) -> None:
    """As auth's clock sees it, which nobody can move: what was to last until a moment ends so much earlier."""
    connection = connect(platform.mongo_url, "auth")
    try:
        outcome = await connection.database["sessions"].update_one(
            {"user_id": UUID(customer.user_id), "stepped_up_until": {"$ne": None}},
            [{"$set": {"stepped_up_until": {"$subtract": ["$stepped_up_until", time // timedelta(milliseconds=1)]}}}],
        )
        assert outcome.matched_count == 1
    finally:
        await connection.close()
