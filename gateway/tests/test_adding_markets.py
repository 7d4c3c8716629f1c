"""Assets and markets that operators add: what travels on, what comes back, what reaches nobody."""

from typing import TYPE_CHECKING, Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from facts import USER
from gateway.schemas import admin
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

ASSETS, MARKETS = "/api/v1/admin/assets", "/api/v1/admin/markets"
ASSET: dict[str, Any] = {"code": "TRX", "name": "TRON", "scale": 6, "reason": "asked for"}
MARKET: dict[str, Any] = {
    "base_asset": "TRX", "quote_asset": "USD", "tick": "0.00001", "lot": "0.1", "min_notional": "1",
    "max_quantity": "1000000", "reason": "asked for",
}  # fmt: skip


def operator(up: "Running", key: str = "") -> dict[str, str]:
    headers = up.bearer(scope="markets:write")
    return {**headers, "Idempotency-Key": key} if key else headers


async def test_an_asset_travels_with_its_reason_and_key(up: "Running") -> None:
    reply = await up.client.post(ASSETS, json=ASSET, headers=operator(up, "key-1"))
    assert reply.status_code == 201, reply.text
    assert admin.AssetState.model_validate_json(reply.content).model_dump() == {
        "code": "TRX", "name": "TRON", "scale": 6, "frozen_because": None,
    }  # fmt: skip
    assert "idempotency-replayed" not in reply.headers
    request, caller = up.platform.operator.requests[-1], up.platform.operator.callers[-1]
    assert (request.code, request.name, request.scale, request.reason, request.idempotency_key) == (
        "TRX", "TRON", 6, "asked for", "key-1",
    )  # fmt: skip
    assert (caller.user_id, "markets:write" in caller.permissions) == (USER, True)
    up.platform.operator.replayed = True
    again = await up.client.post(ASSETS, json={**ASSET, "scale": 0}, headers=operator(up, "key-1"))
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    assert up.platform.operator.requests[-1].HasField("scale")


async def test_an_asset_that_was_added_is_asked_for_again(fresh: "Running") -> None:
    for _ in range(2):
        await fresh.client.get("/api/v1/assets")
    asked = fresh.platform.trading.market_requests
    await fresh.client.post(ASSETS, json=ASSET, headers=operator(fresh))
    await fresh.client.get("/api/v1/assets")
    assert fresh.platform.trading.market_requests == asked + 1


async def test_a_market_travels_with_what_was_named_and_nothing_else(up: "Running") -> None:
    body = {**MARKET, "taker_fee_basis_points": 0, "sources": [{"name": "simulator", "maximum_age_seconds": 3}]}
    reply = await up.client.post(MARKETS, json=body, headers=operator(up, "key-1"))
    assert reply.status_code == 201, reply.text
    shown = admin.MarketRules.model_validate_json(reply.content)
    assert shown.reference_price is None
    request = up.platform.operator.requests[-1]
    assert (request.base_asset, request.quote_asset, request.reason, request.idempotency_key) == (
        "TRX", "USD", "asked for", "key-1",
    )  # fmt: skip
    rules = request.rules
    assert (rules.tick, rules.lot, rules.min_notional, rules.max_quantity) == ("0.00001", "0.1", "1", "1000000")
    assert rules.sources.sources[0].maximum_age_milliseconds == 3_000
    assert {field.name for field, _ in rules.ListFields()} == {
        "tick", "lot", "min_notional", "max_quantity", "taker_fee_basis_points", "sources",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (ASSETS, {**ASSET, "code": "trx"}, "code"),
        (ASSETS, {**ASSET, "code": "T"}, "code"),
        (ASSETS, {**ASSET, "code": "TRX\n"}, "code"),
        (ASSETS, {**ASSET, "code": 1}, "code"),
        (ASSETS, {**ASSET, "name": ""}, "name"),
        (ASSETS, {**ASSET, "name": "x" * 65}, "name"),
        (ASSETS, {**ASSET, "scale": "6"}, "scale"),
        (ASSETS, {**ASSET, "scale": 6.0}, "scale"),
        (ASSETS, {**ASSET, "scale": 9}, "scale"),
        (ASSETS, {**ASSET, "scale": -1}, "scale"),
        (ASSETS, {**ASSET, "reason": ""}, "reason"),
        (ASSETS, {**ASSET, "frozen_because": "x"}, "frozen_because"),
        (ASSETS, {name: value for name, value in ASSET.items() if name != "scale"}, "scale"),
        (MARKETS, {**MARKET, "base_asset": "TRX-USD"}, "base_asset"),
        (MARKETS, {**MARKET, "quote_asset": ""}, "quote_asset"),
        (MARKETS, {**MARKET, "tick": 0.01}, "tick"),
        (MARKETS, {**MARKET, "tick": "1e-5"}, "tick"),
        (MARKETS, {**MARKET, "tick": None}, "tick"),
        (MARKETS, {**MARKET, "lot": "+1"}, "lot"),
        (MARKETS, {**MARKET, "min_notional": "NaN"}, "min_notional"),
        (MARKETS, {**MARKET, "max_quantity": "-1"}, "max_quantity"),
        (MARKETS, {**MARKET, "status": "trading"}, "status"),
        (MARKETS, {**MARKET, "version": 1}, "version"),
        (MARKETS, {**MARKET, "price_band_basis_points": True}, "price_band_basis_points"),
        (MARKETS, {name: value for name, value in MARKET.items() if name != "lot"}, "lot"),
        (MARKETS, {name: value for name, value in MARKET.items() if name != "reason"}, "reason"),
    ],
)
async def test_what_is_malformed_reaches_nobody(up: "Running", path: str, body: dict[str, Any], field: str) -> None:
    reply = await up.client.post(path, json=body, headers=operator(up))
    assert checked(reply, 400, "VALIDATION_ERROR")["field"] == field
    assert up.platform.operator.requests == []


async def test_nobody_else_adds_anything(up: "Running") -> None:
    for path, body in ((ASSETS, ASSET), (MARKETS, MARKET)):
        reply = await up.client.post(path, json=body, headers=up.bearer(scope="orders:write"))
        assert checked(reply, 403, "AUTHORIZATION_ERROR")["permission"] == "markets:write"
    assert up.platform.operator.requests == []


async def test_what_is_there_already_is_a_conflict_that_says_what_there_is(up: "Running") -> None:
    up.platform.operator.error = RemoteError(
        kind=ErrorKind.CONFLICT, reason="market_exists", message="There is TRX-USD already.",
        details={"market": "TRX-USD", "version": "3"},
    )  # fmt: skip
    details = checked(await up.client.post(MARKETS, json=MARKET, headers=operator(up)), 409, "CONFLICT")
    assert details == {"reason": "market_exists", "market": "TRX-USD", "version": "3"}
