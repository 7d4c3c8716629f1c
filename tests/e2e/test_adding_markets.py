"""A market that an operator adds while everything runs: to a trade that the portfolio knows, and over a restart."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from chassis.testing import eventually
from local_stack.platform import Platform

from tests.conftest import READY_SECONDS, door
from tests.customers import Customer, Json, sign_up
from tests.error_shape import assert_error

# market-data knows one asset more than the exchange has markets for, as after a change of its settings.
FURTHER = '[{"symbol": "TRX", "name": "TRON", "price_places": 5, "simulated_price": "0.25"}]'
MARKET = "TRX-USD"
BACK_SECONDS = 30.0


@pytest.fixture
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with Platform(
        data_dir=tmp_path_factory.mktemp("listing"),
        ready_seconds=READY_SECONDS,
        environment={"market-data": {"CRYPTOVAULT_FURTHER_ASSETS": FURTHER}},
    ) as running:
        yield running


async def test_a_market_added_at_run_time_is_traded_in_and_stays(platform: Platform) -> None:
    async with door(platform) as http:
        operator, trader = await sign_up(http), await sign_up(http)
        await platform.operate("grant-role", operator.email, "admin")
        reply = await http.post("/api/v1/auth/refresh", json={"refresh_token": operator.refresh_token})
        operator.access_token = reply.raise_for_status().json()["access_token"]
        market = await _added(operator, trader)
        assert (market["status"], market["version"], market["house"]["levels"]) == ("cancel_only", 1, 0)

        async def price() -> Decimal:
            rules = next(one for one in (await operator.get("/admin/markets"))["items"] if one["symbol"] == MARKET)
            return Decimal(rules["reference_price"] or 0)

        about = await eventually(price)
        refused = await trader.try_to_place(market=MARKET, type="market", quote_quantity="20")
        assert_error(refused, 422, "ORDER_REJECTED", "market_cancel_only")
        coarse = {"version": 1, "reason": "a typing error", "status": "trading", "tick": "10"}
        reply = await operator.send("PATCH", f"/admin/markets/{MARKET}", coarse)
        details = assert_error(reply, 400, "VALIDATION_ERROR", "invalid_market")
        assert (details["field"], details["rule"], details["given"]) == ("tick", "price_band", "10")
        house = {
            "levels": 3, "half_spread_basis_points": 10, "step_basis_points": 10, "level_quantity": "1000",
            "inventory_limit": "100000", "refill_per_second": "100",
        }  # fmt: skip
        opened = await operator.send(
            "PATCH", f"/admin/markets/{MARKET}",
            {"version": 1, "reason": "looked at", "status": "trading", "house": house},
        )  # fmt: skip
        assert (opened.status_code, opened.json()["status"]) == (200, "trading"), opened.text
        order = await trader.place(market=MARKET, type="market", quote_quantity="20")
        assert order["status"] == "filled"
        assert abs(Decimal(order["average_price"]) / about - 1) < Decimal("0.05")

        async def held() -> bool:
            holdings = (await trader.get("/portfolio"))["holdings"]
            return any((one["symbol"], one["name"], one["amount"]) == ("TRX", "TRON", order["filled_quantity"])
                       for one in holdings)  # fmt: skip

        assert await eventually(held)
        assert (await trader.get(f"/markets/{MARKET}/trades"))["items"][0]["quantity"] == order["filled_quantity"]
        await platform.kill("trading")
        await platform.wait_ready("trading", timeout_seconds=BACK_SECONDS)
        again = await trader.place(market=MARKET, type="market", quote_quantity="20")
        assert again["status"] == "filled"
        entries = (await operator.get("/admin/audit-logs"))["items"]
        acts = [(entry["action"], entry["resource"]) for entry in entries]
        assert {("market_set", f"market:{MARKET}"), ("asset_set", "asset:TRX")} <= set(acts), acts


async def _added(operator: Customer, trader: Customer) -> Json:
    """The market as it was answered; on the way what is refused."""
    asset = {"code": "TRX", "name": "TRON", "scale": 6, "reason": "asked for by many"}
    market = {
        "base_asset": "TRX", "quote_asset": "USD", "tick": "0.00001", "lot": "0.1", "min_notional": "1",
        "max_quantity": "1000000", "reason": "asked for by many",
    }  # fmt: skip
    for path, body in (("/admin/assets", asset), ("/admin/markets", market)):
        assert_error(await trader.send("POST", path, body), 403, "AUTHORIZATION_ERROR", "permission_required")
    assert_error(await operator.send("POST", "/admin/markets", market), 404, "NOT_FOUND", "unknown_asset")
    first = await operator.send("POST", "/admin/assets", asset, key="add-trx")
    again = await operator.send("POST", "/admin/assets", asset, key="add-trx")
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert again.headers["idempotency-replayed"] == "true"

    async def listed() -> bool:
        assets = (await trader.get("/assets"))["items"]
        return {"symbol": "TRX", "name": "TRON"} in assets

    assert await eventually(listed)
    assert_error(await operator.send("POST", "/admin/assets", asset), 409, "CONFLICT", "asset_exists")
    wide = {**market, "slippage_cap_basis_points": 5_000}
    assert_error(await operator.send("POST", "/admin/markets", wide), 400, "VALIDATION_ERROR", "invalid_market")
    reply = await operator.send("POST", "/admin/markets", market)
    assert reply.status_code == 201, reply.text
    assert_error(await operator.send("POST", "/admin/markets", market), 409, "CONFLICT", "market_exists")
    document: Json = reply.json()
    return document
