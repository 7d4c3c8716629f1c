"""What belongs to somebody else does not exist."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.customers import Customer
from tests.error_shape import assert_error

PRIVATE_PATHS = ["/orders", "/fills", "/portfolio", "/wallet/balances", "/events", "/auth/me"]


async def test_another_persons_order_cannot_be_seen_or_cancelled(
    new_customer: Callable[[], Awaitable[Customer]],
) -> None:
    owner, other = await new_customer(), await new_customer()
    order = await owner.place(type="market", quote_quantity="50", client_order_id="mine")
    assert_error(await other.send("GET", f"/orders/{order['id']}"), 404, "NOT_FOUND")
    assert_error(await other.send("GET", "/orders/by-client-id/mine"), 404, "NOT_FOUND")
    assert_error(await other.cancel(order["id"]), 404, "NOT_FOUND")
    assert await other.orders() == []


@pytest.mark.parametrize("path", PRIVATE_PATHS)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer x",
        "Basic YTpi",
        # {"alg":"none"} with a subject; and an HS256 token signed with an empty key.
        "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhIiwidHlwZSI6ImFjY2VzcyIsImV4cCI6OTk5OTk5OTk5OX0.",
        "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
    ],
)
async def test_nothing_private_is_shown_without_a_good_token(
    http: httpx.AsyncClient, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    assert_error(await http.get(f"/api/v1{path}", headers=headers), 401, "AUTHENTICATION_ERROR")


async def test_a_token_with_one_changed_character_is_forged(customer: Customer) -> None:
    head, payload, signature = customer.access_token.split(".")
    for forged in (
        # The first character: the last two may be AA already, once in sixteen times.
        f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        f"{head}.{payload[:-2]}AA.{signature}",
        f"{head}.{payload}.",
    ):
        reply = await customer.http.get("/api/v1/portfolio", headers={"Authorization": f"Bearer {forged}"})
        assert_error(reply, 401, "AUTHENTICATION_ERROR")
