"""Roles, from the operator's command line to the public door."""

from collections.abc import Awaitable, Callable

from local_stack.platform import Platform

from tests.customers import Customer

NewCustomer = Callable[[], Awaitable[Customer]]


async def test_a_role_counts_from_the_next_refresh_and_its_loss_within_a_second(
    platform: Platform, new_customer: NewCustomer
) -> None:
    customer = await new_customer()
    before = await customer.get("/auth/me")
    assert before["roles"] == ["user"]
    assert "markets:write" not in before["permissions"]
    await platform.operate("grant-role", customer.email, "admin")
    reply = await customer.http.post("/api/v1/auth/refresh", json={"refresh_token": customer.refresh_token})
    customer.access_token = reply.json()["access_token"]
    granted = await customer.get("/auth/me")
    assert granted["roles"] == ["user", "admin"]
    assert {"markets:write", *before["permissions"]} <= set(granted["permissions"])
    await platform.operate("revoke-role", customer.email, "admin")
    assert (await customer.send("GET", "/auth/me")).status_code == 401
