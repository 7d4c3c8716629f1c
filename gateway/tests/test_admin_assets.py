"""Frozen assets: who may see them, and let them go on."""

from typing import TYPE_CHECKING, Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from facts import USER
from gateway.schemas import admin
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

UNFREEZE = "/api/v1/admin/assets/BTC/unfreeze"


def operator(up: "Running") -> dict[str, str]:
    return up.bearer(scope="markets:write")


async def test_an_operator_sees_what_is_frozen_and_lets_it_go_on(up: "Running") -> None:
    listed = await up.client.get("/api/v1/admin/assets", headers=operator(up))
    page = admin.AssetStatePage.model_validate_json(listed.content)
    assert [(asset.code, asset.frozen_because) for asset in page.items] == [
        ("BTC", "M6 user:x/BTC: has 2"),
        ("USD", None),
    ]
    reply = await up.client.post(UNFREEZE, headers=operator(up), json={"reason": "looked at"})
    assert admin.AssetState.model_validate_json(reply.content).frozen_because is None
    request, caller = up.platform.operator.requests[-1], up.platform.operator.callers[-1]
    assert (request.asset, request.reason, caller.user_id) == ("BTC", "looked at", USER)


async def test_nobody_else_does(up: "Running") -> None:
    for method, path in (("GET", "/api/v1/admin/assets"), ("POST", UNFREEZE)):
        reply = await up.client.request(method, path, headers=up.bearer(), content=b"{}")
        assert checked(reply, 403, "AUTHORIZATION_ERROR")["permission"] == "markets:write"
    assert up.platform.operator.requests == []


@pytest.mark.parametrize(
    "body", [{}, {"reason": ""}, {"reason": "x" * 501}, {"reason": 1}, {"reason": "x", "asset": "USD"}]
)
async def test_a_reason_is_needed_and_nothing_else_taken(up: "Running", body: dict[str, Any]) -> None:
    checked(await up.client.post(UNFREEZE, headers=operator(up), json=body), 400, "VALIDATION_ERROR")
    assert up.platform.operator.requests == []


async def test_an_asset_that_there_is_not_is_not_found(up: "Running") -> None:
    up.platform.operator.error = RemoteError(
        kind=ErrorKind.NOT_FOUND, reason="unknown_asset", message="There is no such asset."
    )
    reply = await up.client.post(UNFREEZE, headers=operator(up), json={"reason": "x"})
    assert checked(reply, 404, "NOT_FOUND")["reason"] == "unknown_asset"
    checked(await up.client.post("/api/v1/admin/assets/btc/unfreeze", headers=operator(up), json={"reason": "x"}), 400,
            "VALIDATION_ERROR")  # fmt: skip
