"""Markets, fees and the tape as anybody sees them; markets and fees as operators change them."""

from typing import TYPE_CHECKING, Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.testing import eventually
from facts import USER
from gateway.schemas import admin, markets
from replies import checked

if TYPE_CHECKING:
    from pydantic import BaseModel

    from conftest import Running

MARKET = "/api/v1/admin/markets/BTC-USD"
ADDED = {
    "base_asset": "TRX", "quote_asset": "USD", "tick": "0.00001", "lot": "0.1", "min_notional": "1",
    "max_quantity": "1000000", "reason": "asked for",
}  # fmt: skip
FEES = f"/api/v1/admin/users/{USER}/fees"


def operator(up: "Running") -> dict[str, str]:
    return up.bearer(scope="markets:write orders:read")


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/api/v1/markets", markets.MarketPage),
        ("/api/v1/markets/BTC-USD", markets.Market),
        ("/api/v1/markets/BTC-USD/book?depth=3", markets.Book),
        ("/api/v1/markets/BTC-USD/trades", markets.TradePage),
        ("/api/v1/fees", markets.FeePage),
        ("/api/v1/admin/markets", admin.MarketRulesPage),
    ],
)
async def test_replies_are_exactly_what_the_document_says(up: "Running", path: str, model: "type[BaseModel]") -> None:
    up.platform.queries.tape = [1, 2, 3]
    reply = await up.client.get(path, headers=operator(up))
    assert reply.status_code == 200, reply.text
    model.model_validate_json(reply.content)


async def test_a_market_tells_its_limits_tiers_and_breaker(up: "Running") -> None:
    shown = (await up.client.get("/api/v1/markets/BTC-USD")).json()
    assert shown["max_open_orders"] == 200
    assert shown["fee_tiers"] == [{"volume_from": "100000", "maker_fee_basis_points": 8, "taker_fee_basis_points": 18}]
    assert shown["circuit_breaker"] == {"move_basis_points": 1000, "window_seconds": "60", "pause_seconds": "1.5"}
    assert shown["paused_until"] is None


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", MARKET, {"version": 1, "status": "halted", "reason": "x"}),
        ("POST", f"{MARKET}/resume", {"reason": "x"}),
        ("POST", "/api/v1/admin/markets", ADDED),
    ],
)
async def test_an_operator_reads_a_change_at_once(
    fresh: "Running", method: str, path: str, body: dict[str, Any]
) -> None:
    assert (await fresh.client.get("/api/v1/markets/BTC-USD")).json()["status"] == "trading"
    fresh.platform.trading.market_status = "halted"
    # Another gateway's operator: this one tells it when its answer is old.
    assert (await fresh.client.get("/api/v1/markets/BTC-USD")).json()["status"] == "trading"
    reply = await fresh.client.request(method, path, json=body, headers=operator(fresh))
    assert reply.status_code in {200, 201}, reply.text
    assert (await fresh.client.get("/api/v1/markets/BTC-USD")).json()["status"] == "halted"
    assert (await fresh.client.get("/api/v1/markets")).json()["items"][0]["status"] == "halted"


async def test_fees_tell_the_tier_and_the_next(up: "Running") -> None:
    (shown,) = (await up.client.get("/api/v1/fees", headers=up.bearer())).json()["items"]
    assert (shown["tier"], shown["volume_30d"], shown["next_tier"]["volume_from"]) == (1, "150000.5", "1000000")
    checked(await up.client.get("/api/v1/fees"), 401, "AUTHENTICATION_ERROR")


async def test_the_tape_is_paged_by_cursor_and_read_on_after_a_sequence(up: "Running") -> None:
    up.platform.queries.tape = list(range(1, 8))
    path = "/api/v1/markets/BTC-USD/trades"
    first = (await up.client.get(f"{path}?limit=3")).json()
    assert ([one["sequence"] for one in first["items"]], first["next_cursor"]) == ([7, 6, 5], "5")
    rest = (await up.client.get(f"{path}?limit=3&cursor=5&after=2")).json()
    assert ([one["sequence"] for one in rest["items"]], rest["next_cursor"]) == ([4, 3], None)
    for query, field in (("cursor=x", "cursor"), ("after=-1", "after"), ("limit=201", "limit"), ("before=3", "before")):
        assert checked(await up.client.get(f"{path}?{query}"), 400, "VALIDATION_ERROR")["field"] == field
    assert checked(await up.client.get("/api/v1/markets/XXX-USD/trades"), 404, "NOT_FOUND") == {
        "reason": "unknown_market"
    }
    up.platform.queries.behind = True
    assert (await up.client.get(path)).headers["x-data-behind"] == "true"


async def test_the_tape_is_read_no_older_than_the_stream_has_told(up: "Running") -> None:
    await eventually(lambda: up.platform.trading.watchers)
    up.platform.trading.trade(1, batch=4_711)

    async def asked_for_that_batch() -> bool:
        await up.client.get("/api/v1/markets/BTC-USD/trades")
        return up.platform.queries.requests[-1].at_least_batch == 4_711

    await eventually(asked_for_that_batch)


async def test_a_change_travels_with_its_version_reason_and_key(up: "Running") -> None:
    body = {
        "version": 3, "reason": "the tariff", "status": "cancel_only", "tick": "0.05", "max_open_orders": 50,
        "maker_fee_basis_points": 0,
        "fee_tiers": [{"volume_from": "1000.5", "maker_fee_basis_points": 1, "taker_fee_basis_points": 2}],
        "circuit_breaker": {"move_basis_points": 300, "window_seconds": 5, "pause_seconds": 9},
        "house": {
            "levels": 3, "half_spread_basis_points": 4, "step_basis_points": 5, "level_quantity": "1.5",
            "inventory_limit": "9", "refill_per_second": "0.1",
        },
        "sources": [{"name": "coingecko", "maximum_age_seconds": 120}],
        "silence_limit_seconds": 4,
    }  # fmt: skip
    headers = {**operator(up), "Idempotency-Key": "key-1"}
    up.platform.operator.replayed = True
    reply = await up.client.patch(MARKET, json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["idempotency-replayed"] == "true"
    shown = reply.json()
    admin.MarketRules.model_validate(shown)
    assert (shown["version"], shown["status"], shown["operator_status"]) == (3, "paused", "trading")
    (request,) = up.platform.operator.requests
    assert (request.symbol, request.version, request.reason, request.idempotency_key) == (
        "BTC-USD", 3, "the tariff", "key-1",
    )  # fmt: skip
    change = request.change
    assert (change.status, change.tick, change.max_open_orders) == ("cancel_only", "0.05", 50)
    assert change.HasField("maker_fee_basis_points")
    assert not change.HasField("taker_fee_basis_points")
    assert change.fee_tiers.tiers[0].volume == "1000.5"
    assert (change.circuit_breaker.window_milliseconds, change.silence_limit_milliseconds) == (5_000, 4_000)
    assert (change.house.levels, change.house.level_quantity) == (3, "1.5")
    assert change.sources.sources[0].maximum_age_milliseconds == 120_000
    caller = up.platform.operator.callers[-1]
    assert (caller.user_id, "markets:write" in caller.permissions) == (USER, True)


async def test_an_empty_list_takes_tiers_and_sources_away(up: "Running") -> None:
    body = {"version": 3, "reason": "none", "fee_tiers": [], "circuit_breaker": {"move_basis_points": 0}}
    assert (await up.client.patch(MARKET, json=body, headers=operator(up))).status_code == 200
    change = up.platform.operator.requests[-1].change
    assert change.HasField("fee_tiers")
    assert change.HasField("circuit_breaker")
    assert not change.HasField("sources")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "x", "status": "halted"}, "version"),
        ({"version": 0, "reason": "x"}, "version"),
        ({"version": "3", "reason": "x"}, "version"),
        ({"version": 3, "status": "halted"}, "reason"),
        ({"version": 3, "reason": ""}, "reason"),
        ({"version": 3, "reason": "x", "status": "paused"}, "status"),
        ({"version": 3, "reason": "x", "tick": 0.01}, "tick"),
        ({"version": 3, "reason": "x", "tick": "1e3"}, "tick"),
        ({"version": 3, "reason": "x", "maker_fee_basis_points": 1.5}, "maker_fee_basis_points"),
        ({"version": 3, "reason": "x", "maker_fee_basis_points": -1}, "maker_fee_basis_points"),
        ({"version": 3, "reason": "x", "fee_tiers": [{"volume_from": "1"}]}, "fee_tiers.0.maker_fee_basis_points"),
        ({"version": 3, "reason": "x", "owner": "me"}, "owner"),
    ],
)
async def test_a_malformed_change_reaches_nobody(up: "Running", body: dict[str, Any], field: str) -> None:
    reply = await up.client.patch(MARKET, json=body, headers=operator(up))
    assert checked(reply, 400, "VALIDATION_ERROR")["field"] == field
    assert up.platform.operator.requests == []


async def test_a_change_on_an_old_version_is_a_conflict(up: "Running") -> None:
    up.platform.operator.error = RemoteError(
        kind=ErrorKind.CONFLICT, reason="market_changed", message="Changed meanwhile.",
        details={"given": "1", "limit": "2"},
    )  # fmt: skip
    body = {"version": 1, "reason": "x", "status": "halted"}
    details = checked(await up.client.patch(MARKET, json=body, headers=operator(up)), 409, "CONFLICT")
    assert details == {"reason": "market_changed", "given": "1", "limit": "2"}


async def test_a_pause_is_ended_with_a_reason(up: "Running") -> None:
    reply = await up.client.post(f"{MARKET}/resume", json={"reason": "the news is real"}, headers=operator(up))
    admin.MarketRules.model_validate_json(reply.content)
    assert up.platform.operator.requests[-1].reason == "the news is real"
    checked(await up.client.post(f"{MARKET}/resume", json={}, headers=operator(up)), 400, "VALIDATION_ERROR")


async def test_a_users_own_fees_are_set_and_taken_away(up: "Running") -> None:
    body = {"maker_fee_basis_points": 0, "taker_fee_basis_points": 5, "reason": "market maker"}
    assert (await up.client.put(FEES, json=body, headers=operator(up))).status_code == 204
    assert up.platform.operator.requests[-1].fees.taker_fee_basis_points == 5
    assert (await up.client.put(FEES, json={"reason": "no more"}, headers=operator(up))).status_code == 204
    assert not up.platform.operator.requests[-1].HasField("fees")
    half = await up.client.put(FEES, json={"maker_fee_basis_points": 0, "reason": "x"}, headers=operator(up))
    assert checked(half, 400, "VALIDATION_ERROR")["rule"] == "both_or_none"
