"""What people do is written down where they and the staff can read it, and nobody can change it unseen."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest
from chassis.mongo import connect
from chassis.testing import eventually
from local_stack.platform import Platform

from tests.customers import Customer, MarketRules
from tests.error_shape import assert_error

NewCustomer = Callable[[], Awaitable[Customer]]


async def test_acts_at_the_exchange_and_on_the_account_are_in_ones_own_trail(
    customer: Customer, new_customer: NewCustomer, bitcoin: MarketRules
) -> None:
    other = await new_customer()
    price = bitcoin.price(Decimal((await customer.get("/markets/BTC-USD/ticker"))["price"]) * Decimal("0.95"))
    placed = await customer.place(type="limit", quantity=bitcoin.quantity(Decimal("0.001")), price=price)
    (await customer.cancel(placed["id"])).raise_for_status()

    async def told() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await customer.get("/audit"))["items"]
        actions = {one["action"] for one in items}
        return items if {"order_cancelled", "signed_in"} <= actions else []

    items = await eventually(told, timeout_seconds=30)
    assert [one["action"] for one in items] == ["order_cancelled", "order_placed", "transfer_posted", "signed_in"]
    cancelled, entered, paid, signed_in = items
    assert {cancelled["resource"], entered["resource"]} == {f"order:{placed['id']}"}
    assert (entered["actor"], paid["actor"], paid["session_id"]) == ("you", "platform", None)
    sessions = (await customer.get("/auth/sessions"))["items"]
    assert entered["session_id"] in {one["id"] for one in sessions}
    assert (signed_in["actor"], signed_in["session_id"]) == ("you", entered["session_id"])
    assert Decimal(entered["details"]["price"]) == Decimal(price)
    assert entered["request_id"]
    page = await customer.get("/audit", limit="2")
    assert page["items"] == items[:2]
    assert (await customer.get("/audit", limit="2", cursor=page["next_cursor"]))["items"] == items[2:]
    theirs = (await other.get("/audit"))["items"]
    assert not {one["id"] for one in theirs} & {one["id"] for one in items}
    assert_error(await customer.send("GET", "/admin/audit-logs"), 403, "AUTHORIZATION_ERROR")


async def test_an_administrator_reads_it_whole_and_a_verifier_finds_what_was_changed(
    platform: Platform, http: httpx.AsyncClient, customer: Customer
) -> None:
    await platform.operate("grant-role", customer.email, "admin")
    reply = await customer.http.post("/api/v1/auth/refresh", json={"refresh_token": customer.refresh_token})
    customer.access_token = reply.json()["access_token"]
    (entry,) = (await customer.get("/admin/audit-logs", user_id=customer.user_id, action="role_granted"))["items"]
    assert (entry["resource"], entry["stream"], entry["user_id"]) == ("role:admin", "auth", customer.user_id)
    assert entry["actor"].startswith("operator:")
    await platform.operate("verify-audit")
    connection = connect(platform.mongo_url, "auth")
    rows = connection.database["audit_logs"]
    which = {"stream": "auth", "sequence": entry["sequence"]}
    try:
        await rows.update_one(which, {"$set": {"resource": "role:support"}})
        with pytest.raises(RuntimeError, match=f"auth {entry['sequence']}: edited"):
            await platform.operate("verify-audit")
    finally:
        await rows.update_one(which, {"$set": {"resource": "role:admin"}})
        await connection.close()
    await platform.operate("verify-audit")
