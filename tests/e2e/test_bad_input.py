"""Bad input through the real door: a clear error in the one shape, nothing written, never a 500."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.customers import Customer, sign_up
from tests.error_shape import assert_error

GOOD_ORDER = {"market": "BTC-USD", "side": "buy", "type": "market", "quote_quantity": "100"}
LIMIT_ORDER = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.001", "price": "1"}

BAD_BODIES = {
    "money as a number": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":100}',
    "money as a float": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":100.1}',
    "NaN": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":NaN}',
    "NaN as a string": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"NaN"}',
    "Infinity": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":Infinity}',
    "1e400": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":1e400}',
    "1e400 as a string": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"1e400"}',
    "minus zero": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"-0"}',
    "negative": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"-100"}',
    "plus": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"+100"}',
    "30 decimals": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"1.' + b"1" * 30 + b'"}',
    "1_000": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"1_000"}',
    "unicode digits": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"\xd9\xa1\xd9\xa0\xd9\xa0"}',
    "trailing newline": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"100\\n"}',
    "leading space": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":" 100"}',
    "leading zero": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"0100"}',
    "an unknown field": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"100","user_id":"x"}',
    "a wrong type": b'{"market":["BTC-USD"],"side":"buy","type":"market","quote_quantity":"100"}',
    "null for a must": b'{"market":null,"side":"buy","type":"market","quote_quantity":"100"}',
    "no market": b'{"side":"buy","type":"market","quote_quantity":"100"}',
    "no side": b'{"market":"BTC-USD","type":"market","quote_quantity":"100"}',
    "an unknown side": b'{"market":"BTC-USD","side":"hold","type":"market","quote_quantity":"100"}',
    "an unknown type": b'{"market":"BTC-USD","side":"buy","type":"magic","quote_quantity":"100"}',
    "a lone surrogate": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"\\ud800"}',
    "not UTF-8": b'{"market":"BTC-USD","side":"buy","type":"market","quote_quantity":"\xff"}',
    "not JSON": b"{",
    "empty": b"",
    "a list": b"[]",
    "a number": b"1",
    "deep": b"[" * 20_000,
}
# Well-formed, but no order: the exchange or the door says no, with a 400 or a 422.
BAD_ORDERS: dict[str, dict[str, Any]] = {
    "an unknown market": GOOD_ORDER | {"market": "TULIP-USD"},
    "zero": GOOD_ORDER | {"quote_quantity": "0"},
    "zero with places": GOOD_ORDER | {"quote_quantity": "0.00"},
    "below the minimum": GOOD_ORDER | {"quote_quantity": "0.01"},
    "no quantity at all": {"market": "BTC-USD", "side": "buy", "type": "market"},
    "both quantities": GOOD_ORDER | {"quantity": "0.001"},
    "a limit order without a limit": {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.001"},
    "a market order with fok and a stop": GOOD_ORDER | {"stop_price": "1"},
    "a limit far below the market": LIMIT_ORDER,
    "a limit far above the market": LIMIT_ORDER | {"price": "99999999"},
    "a limit off the tick": LIMIT_ORDER | {"price": "50000.001"},
    "a quantity off the lot": LIMIT_ORDER | {"quantity": "0.0000001"},
    "more than there is": GOOD_ORDER | {"quote_quantity": "10000.01"},
    "more than any order may be": GOOD_ORDER | {"quote_quantity": "999999999999999999"},
    "selling what one has not": {"market": "BTC-USD", "side": "sell", "type": "market", "quantity": "0.001"},
    "gtd without an end": LIMIT_ORDER | {"time_in_force": "gtd"},
}


@pytest.fixture(scope="module")
async def poor_customer(http: httpx.AsyncClient) -> AsyncIterator[Customer]:
    """One person for the whole table: at the end, nothing of it may have been written."""
    customer = await sign_up(http)
    yield customer
    assert await customer.orders() == []
    balances = await customer.balances()
    assert {asset: balance["held"].strip("0.") for asset, balance in balances.items()} == {"USD": ""}
    assert await customer.available() == 10_000


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
async def test_a_malformed_order_is_refused_by_field_and_rule(poor_customer: Customer, body: bytes) -> None:
    headers = poor_customer.bearer | {"Content-Type": "application/json"}
    reply = await poor_customer.http.post("/api/v1/orders", content=body, headers=headers)
    details = assert_error(reply, 400, "VALIDATION_ERROR")
    assert details["rule"]


@pytest.mark.parametrize("order", BAD_ORDERS.values(), ids=BAD_ORDERS.keys())
async def test_an_order_that_breaks_a_rule_is_refused_with_a_reason(
    poor_customer: Customer, order: dict[str, Any]
) -> None:
    reply = await poor_customer.send("POST", "/orders", order)
    assert reply.status_code in {400, 404, 422}, reply.text
    code = {400: "VALIDATION_ERROR", 404: "NOT_FOUND", 422: "ORDER_REJECTED"}[reply.status_code]
    assert assert_error(reply, reply.status_code, code)["reason"]


@pytest.mark.parametrize("key", ["", "x" * 256, "sch\u00f6n", "tab\there"])
async def test_a_malformed_idempotency_key_is_refused(poor_customer: Customer, key: str) -> None:
    headers = [(b"Authorization", poor_customer.bearer["Authorization"].encode()), (b"Idempotency-Key", key.encode())]
    reply = await poor_customer.http.post("/api/v1/orders", json=GOOD_ORDER, headers=headers)
    assert_error(reply, 400, "VALIDATION_ERROR")


async def test_a_body_over_64_kib_is_refused(poor_customer: Customer) -> None:
    body = GOOD_ORDER | {"client_order_id": "x" * 65_536}
    assert_error(await poor_customer.send("POST", "/orders", body), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v2/prices", 404, "NOT_FOUND"),
        ("PUT", "/api/v1/orders", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/api/v1/prices", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/markets/TULIP-USD", 404, "NOT_FOUND"),
        ("GET", "/api/v1/markets/TULIP-USD/ticker", 404, "NOT_FOUND"),
        ("GET", "/api/v1/markets/TULIP-USD/book", 404, "NOT_FOUND"),
        ("GET", "/api/v1/markets/%00/ticker", 404, "NOT_FOUND"),
    ],
)
async def test_a_path_or_method_that_is_not_there_is_an_error_in_the_one_shape(
    http: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    reply = await http.request(method, path)
    if path.endswith("%00/ticker") and reply.status_code == 400:
        status, code = 400, "VALIDATION_ERROR"
    assert_error(reply, status, code)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1e2",
        "cursor=%00",
        "cursor=x",
        "status=maybe",
        "nonsense=1",
    ],
)
async def test_a_bad_query_is_refused(poor_customer: Customer, query: str) -> None:
    reply = await poor_customer.http.get(f"/api/v1/orders?{query}", headers=poor_customer.bearer)
    assert_error(reply, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("order_id", ["x", "0", "00000000-0000-0000-0000-00000000000", "%2e%2e%2fadmin", "' or 1=1"])
async def test_an_id_that_is_no_id_finds_nothing(poor_customer: Customer, order_id: str) -> None:
    reply = await poor_customer.send("GET", f"/orders/{order_id}")
    assert reply.status_code in {400, 404}, reply.text
    assert_error(reply, reply.status_code, {400: "VALIDATION_ERROR", 404: "NOT_FOUND"}[reply.status_code])


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody", "password": "long enough to pass", "name": "A"},
        {"email": "a@b\n", "password": "long enough to pass", "name": "A"},
        {"email": "someone@example.com", "password": "short", "name": "A"},
        {"email": "someone@example.com", "password": "long enough to pass", "name": ""},
        {"email": "someone@example.com", "password": "long enough to pass", "name": "A", "role": "admin"},
        {"email": "someone@example.com", "password": ["long enough to pass"], "name": "A"},
        {"email": {"$gt": ""}, "password": "long enough to pass", "name": "A"},
    ],
)
async def test_a_bad_sign_up_is_refused_and_repeats_no_secret(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    reply = await http.post("/api/v1/auth/signup", json=body)
    assert_error(reply, 400, "VALIDATION_ERROR")
    assert "long enough to pass" not in reply.text
    assert "short" not in reply.json()["error"]["details"].values()
