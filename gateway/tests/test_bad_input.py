"""Whatever is sent: a clear error in the one shape, never a 500, nothing passed on, no secret repeated."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from chassis.errors import ErrorKind, RemoteError
from facts import ORDER as ID
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

ORDER = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}
SECRET = "correct horse battery"


def order_with(field: str, raw: str) -> bytes:
    """An order whose field holds this JSON text."""
    rest = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in ORDER.items() if name != field)
    return f'{{{rest},"{field}":{raw}}}'.encode()


@pytest.mark.parametrize(
    "raw",
    [
        "0.5", "5", "NaN", "Infinity", "-Infinity", "1e400", "-0", "true", "[]", "{}", '"NaN"', '"1e400"', '"-0"',
        '"-1"', '"+1"', '"1_000"', '"1,5"', '".5"', '"5."', '"01"', '" 1"', '"1 "', '"1\\n"', '""', '"0x10"',
        '"\u0661\u0662"', '"\uff11"', '"1.' + "1" * 30 + '"', '"' + "9" * 19 + '"', '"1.0000000000000000001"', '"½"',
    ],
)  # fmt: skip
async def test_money_that_is_no_decimal_string_is_refused_by_field_and_rule(up: "Running", raw: str) -> None:
    reply = await up.client.post(
        "/api/v1/orders",
        content=order_with("quantity", raw),
        headers={**up.bearer(), "Content-Type": "application/json"},
    )
    details = checked(reply, 400, "VALIDATION_ERROR")
    assert details["reason"] == "invalid_argument"
    if details["field"] != "body":
        assert details["field"] == "quantity"
        assert details["rule"] in {"decimal_string", "string"}
    assert up.platform.trading.commands == []


@pytest.mark.parametrize(
    ("body", "field", "rule"),
    [
        (b"", "body", "json"),
        (b"{", "body", "json"),
        (b"[1]", "body", "object"),
        (b"null", "body", "object"),
        (b'"text"', "body", "object"),
        (b"[" * 50_000, "body", "depth"),
        (b'{"a":' * 5_000, "body", "depth"),
        # A text without an end, all of quotes: the brackets after it are text, and it is read once, not once per quote.
        (b"[]" * 9 + b'"' + b'\\"' * 32_000 + b"[" * 9, "body", "json"),
        (b'{"a":' * 9 + b"1" + b"}" * 9, "body", "depth"),
        (b'{"a":"[[[[[[[[[[[["}', "market", "required"),
        (b'{"side":"buy","side":"sell"}', "body", "once"),
        (order_with("quantity", '"0.5","quanti\\u0074y":"5000"'), "body", "once"),
        (b'{"market":[{"a":1,"a":' + b"9" * 5_000 + b"}]}", "body", "once"),
        (b'{"market":"\\ud800"}', "body", "json"),
        (b'{"market":"\xff"}', "body", "json"),
        (b'{"market":NaN}', "market", "string"),
        (order_with("market", '"btc-usd"'), "market", "market_symbol"),
        (order_with("market", '"BTC-USD\\n"'), "market", "market_symbol"),
        (order_with("side", '"hold"'), "side", "one_of"),
        (order_with("side", "1"), "side", "one_of"),
        (order_with("type", '"iceberg"'), "type", "one_of"),
        (order_with("post_only", '"yes"'), "post_only", "boolean"),
        (order_with("post_only", "1"), "post_only", "boolean"),
        (order_with("client_order_id", '"a b"'), "client_order_id", "client_order_id"),
        (order_with("client_order_id", '"."'), "client_order_id", "client_order_id"),
        (order_with("client_order_id", '".."'), "client_order_id", "client_order_id"),
        (order_with("client_order_id", '"' + "a" * 65 + '"'), "client_order_id", "client_order_id"),
        (order_with("expires_at", '"2026-13-40T00:00:00Z"'), "expires_at", "rfc3339_utc"),
        (order_with("expires_at", '"soon"'), "expires_at", "rfc3339_utc"),
        (order_with("user_id", '"somebody"'), "user_id", "unknown_field"),
        (order_with("é", "1"), "body", "unknown_field"),
        (b'{"side":"buy","type":"market","quantity":"1"}', "market", "required"),
    ],
)
async def test_a_body_that_is_no_order_is_refused_by_field_and_rule(
    up: "Running", body: bytes, field: str, rule: str
) -> None:
    headers = {**up.bearer(), "Content-Type": "application/json"}
    details = checked(await up.client.post("/api/v1/orders", content=body, headers=headers), 400, "VALIDATION_ERROR")
    assert (details["field"], details["rule"]) == (field, rule)
    assert up.platform.trading.commands == []


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/xml", "multipart/form-data", "application/jsonx"]
)
async def test_a_body_of_another_type_is_refused(up: "Running", content_type: str) -> None:
    headers = {**up.bearer(), "Content-Type": content_type}
    reply = await up.client.post("/api/v1/orders", content=json.dumps(ORDER), headers=headers)
    assert checked(reply, 400, "VALIDATION_ERROR")["field"] == "Content-Type"


async def test_a_charset_of_utf_8_may_be_named(up: "Running") -> None:
    headers = {**up.bearer(), "Content-Type": 'Application/JSON; charset="UTF-8"'}
    reply = await up.client.post("/api/v1/orders", content=json.dumps(ORDER), headers=headers)
    assert reply.status_code == 201, reply.text


async def test_a_body_over_64_kib_is_refused_by_its_length(up: "Running") -> None:
    body = json.dumps({**ORDER, "client_order_id": "x" * 65_536})
    reply = await up.client.post("/api/v1/orders", content=body, headers=up.bearer())
    assert checked(reply, 413, "PAYLOAD_TOO_LARGE")["limit"] == "65536"


async def test_a_body_over_64_kib_without_a_length_is_refused_while_it_comes(up: "Running") -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 1_024

    headers = {**up.bearer(), "Content-Type": "application/json"}
    reply = await up.client.post("/api/v1/orders", content=chunks(), headers=headers)
    assert checked(reply, 413, "PAYLOAD_TOO_LARGE")["no_suggestion"]


async def test_a_body_of_nearly_64_kib_is_read(up: "Running") -> None:
    body = json.dumps(ORDER) + " " * 65_000
    headers = {**up.bearer(), "Content-Type": "application/json"}
    assert (await up.client.post("/api/v1/orders", content=body, headers=headers)).status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/orders?limit=0", "/api/v1/orders?limit=201", "/api/v1/orders?limit=1_0", "/api/v1/orders?limit=\u0661",
        "/api/v1/orders?limit=-1", "/api/v1/orders?limit=", "/api/v1/orders?limit=1&limit=2",
        "/api/v1/orders?markt=BTC-USD", "/api/v1/orders?status=sleeping", "/api/v1/orders?cursor=%00",
        "/api/v1/orders?cursor=" + "x" * 600, "/api/v1/orders?market=%FF", "/api/v1/events?after=-1",
        "/api/v1/events?after=1e3", "/api/v1/events?after=99999999999999999999", "/api/v1/orders/not-a-uuid",
        "/api/v1/orders/by-client-id/a%20b", "/api/v1/fills?order_id=1", "/api/v1/portfolio?user_id=somebody",
        "/api/v1/markets/BTC-USD/book?depth=101", "/api/v1/markets/btc/book",
    ],
)  # fmt: skip
async def test_a_path_or_query_that_is_not_exact_is_refused(up: "Running", path: str) -> None:
    details = checked(await up.client.get(path, headers=up.bearer()), 400, "VALIDATION_ERROR")
    assert details["field"]
    assert details["rule"]


async def test_a_mistyped_market_cancels_nothing(up: "Running") -> None:
    reply = await up.client.delete("/api/v1/orders?markt=BTC-USD", headers=up.bearer())
    checked(reply, 400, "VALIDATION_ERROR")
    assert up.platform.trading.commands == []


async def test_a_path_that_does_not_exist_is_404(up: "Running") -> None:
    for path in ("/", "/api/v1", "/api/v1/nothing", "/api/v1/orders/", "/%00", "/ws", "/dev/mailbox"):
        checked(await up.client.get(path), 404, "NOT_FOUND")


async def test_a_method_that_a_path_does_not_take_is_405_and_says_which_it_takes(up: "Running") -> None:
    reply = await up.client.put("/api/v1/orders", headers=up.bearer())
    checked(reply, 405, "METHOD_NOT_ALLOWED")
    assert reply.headers["allow"] == "DELETE, GET, HEAD, POST"
    checked(await up.client.post("/api/v1/prices"), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("key", ["", "a" * 256, "tab\there", "ümlaut", "emoji \U0001f600"])
async def test_a_bad_idempotency_key_is_refused(up: "Running", key: str) -> None:
    headers = {**up.bearer(), "Idempotency-Key": key.encode()}
    reply = await up.client.post("/api/v1/orders", json=ORDER, headers=headers)
    assert checked(reply, 400, "VALIDATION_ERROR")["field"] == "Idempotency-Key"
    assert up.platform.trading.commands == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/auth/signup", {"email": "ada@example.com", "password": SECRET, "name": ""}),
        ("/api/v1/auth/signup", {"email": "ada@example.com", "password": [SECRET], "name": "Ada"}),
        ("/api/v1/auth/signup", {"email": "ada@example.com", "password": SECRET * 100, "name": "Ada"}),
        ("/api/v1/auth/login", {"email": SECRET, "password": SECRET, "delivery": 1}),
        ("/api/v1/auth/login", {"email": "ada@example.com", "password": SECRET, "passwort": SECRET}),
        ("/api/v1/auth/verify-email", {"email": "ada@example.com", "code": SECRET}),
        ("/api/v1/auth/refresh", {"refresh_token": SECRET}),
        ("/api/v1/auth/refresh", {"refresh_token": 5, SECRET: 1}),
    ],
)
async def test_a_refused_secret_is_not_repeated(up: "Running", path: str, body: dict[str, Any]) -> None:
    reply = await up.client.post(path, json=body)
    checked(reply, 400, "VALIDATION_ERROR")
    if body.get("email") != SECRET:
        assert SECRET not in reply.text


@pytest.mark.parametrize(
    ("method", "changes", "field", "given"),
    [
        ("POST", {"quantity": "-1"}, "quantity", "-1"),
        ("POST", {"quantity": 1}, "quantity", "1"),
        ("POST", {"quantity": 10**30}, "quantity", None),
        ("POST", {"quantity": "9" * 65}, "quantity", None),
        ("POST", {"quantity": {"of": "it"}}, "quantity", "an object"),
        ("POST", {"side": "BUY"}, "side", "BUY"),
        ("POST", {"market": None}, "market", "null"),
        ("POST", {"post_only": "yes"}, "post_only", "yes"),
        ("POST", {"client_order_id": "a b"}, "client_order_id", "a b"),
        ("POST", {"expires_at": "tomorrow"}, "expires_at", "tomorrow"),
        ("POST", {"expires_at": "2030-02-30T00:00:00Z"}, "expires_at", "2030-02-30T00:00:00Z"),
        ("POST", {"leverage": "100"}, "leverage", "leverage"),
        ("PATCH", {"price": "1e5"}, "price", "1e5"),
        ("PATCH", {}, "body", "none"),
    ],
)
async def test_an_order_that_cannot_be_read_is_told_the_rule_the_limit_and_what_was_given(
    up: "Running", method: str, changes: dict[str, Any], field: str, given: str | None
) -> None:
    path, body = ("/api/v1/orders", {**ORDER, **changes}) if method == "POST" else (f"/api/v1/orders/{ID}", changes)
    details = checked(await up.client.request(method, path, json=body, headers=up.bearer()), 400, "VALIDATION_ERROR")
    assert (details["field"], details["given"]) == (field, given or "what is not repeated here")
    assert details["rule"]
    assert details["limit"]
    assert details["no_suggestion"]
    assert up.platform.trading.commands == []


@pytest.mark.parametrize(
    ("content_type", "content", "rule", "limit", "given"),
    [
        ("application/json", '{"side": "buy", "side": "sell"}', "once", "each name once in an object",
         "a name twice"),
        ("application/json", "[" * 12 + "]" * 12, "depth", "8", "12"),
        ("application/json", "{", "json", "JSON", "what is not repeated here"),
        ("text/plain", "{}", "application_json", "application/json", "text/plain"),
        ("", "{}", "application_json", "application/json", "none"),
        ("x" * 65, "{}", "application_json", "application/json", "what is not repeated here"),
        ("application/json", " " * 65_537, "max_bytes", "65536", "more than 65536"),
    ],
)  # fmt: skip
async def test_what_no_order_can_be_is_refused_in_the_same_words(
    up: "Running", content_type: str, content: str, rule: str, *, limit: str, given: str
) -> None:
    status, code = (413, "PAYLOAD_TOO_LARGE") if rule == "max_bytes" else (400, "VALIDATION_ERROR")
    headers = {**up.bearer(), "Content-Type": content_type}
    for method, path in (("POST", ""), ("POST", "/preview"), ("PATCH", f"/{ID}")):
        reply = await up.client.request(method, f"/api/v1/orders{path}", content=content, headers=headers)
        details = checked(reply, status, code)
        assert (details["rule"], details["limit"], details["given"]) == (rule, limit, given)
        assert details["no_suggestion"]
    assert up.platform.trading.commands == []


async def test_a_value_is_shown_only_where_it_is_short_and_printable(up: "Running") -> None:
    body = {**ORDER, "quantity": "1e5"}
    reply = await up.client.post("/api/v1/orders", json=body, headers=up.bearer())
    assert checked(reply, 400, "VALIDATION_ERROR")["value"] == "1e5"
    body = {**ORDER, "quantity": "\x1b[31m"}
    reply = await up.client.post("/api/v1/orders", json=body, headers=up.bearer())
    assert "value" not in checked(reply, 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (ErrorKind.INVALID, 400, "VALIDATION_ERROR"),
        (ErrorKind.UNAUTHENTICATED, 401, "AUTHENTICATION_ERROR"),
        (ErrorKind.FORBIDDEN, 403, "AUTHORIZATION_ERROR"),
        (ErrorKind.NOT_FOUND, 404, "NOT_FOUND"),
        (ErrorKind.CONFLICT, 409, "CONFLICT"),
        (ErrorKind.REJECTED, 422, "ORDER_REJECTED"),
        (ErrorKind.EXHAUSTED, 429, "RATE_LIMIT_EXCEEDED"),
        (ErrorKind.UNAVAILABLE, 503, "SERVICE_UNAVAILABLE"),
    ],
)
async def test_a_service_error_keeps_its_reason_and_facts(
    up: "Running", kind: ErrorKind, status: int, code: str
) -> None:
    error = RemoteError(kind=kind, reason="some_reason", message="So it is.", details={"limit": "10", "value": "11"})
    up.platform.trading.error = up.platform.auth.error = error
    for reply in (
        await up.client.post("/api/v1/orders", json=ORDER, headers=up.bearer()),
        await up.client.get("/api/v1/auth/me", headers=up.bearer()),
    ):
        assert checked(reply, status, code) == {"reason": "some_reason", "limit": "10", "value": "11"}
        assert reply.json()["error"]["message"] == "So it is."
        assert ("retry-after" in reply.headers) is (status in {429, 503})


async def test_what_a_service_says_of_a_secret_field_is_not_passed_on(up: "Running") -> None:
    up.platform.auth.error = RemoteError(
        kind=ErrorKind.INVALID, reason="weak", message="Too weak.", details={"field": "password", "value": SECRET}
    )
    body = {"email": "ada@example.com", "password": SECRET, "name": "Ada"}
    reply = await up.client.post("/api/v1/auth/signup", json=body)
    assert checked(reply, 400, "VALIDATION_ERROR") == {"reason": "weak", "field": "password"}


async def test_a_bug_behind_us_is_500_and_tells_nothing(up: "Running") -> None:
    up.platform.trading.error = up.platform.auth.error = ValueError("the database password is hunter2")
    for reply in (
        await up.client.post("/api/v1/orders", json=ORDER, headers=up.bearer()),
        await up.client.get("/api/v1/auth/me", headers=up.bearer()),
    ):
        assert checked(reply, 500, "INTERNAL_ERROR") == {}
        assert "hunter2" not in reply.text


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("auth", "GET", "/api/v1/auth/me"),
        ("trading", "GET", "/api/v1/wallet/balances"),
        ("trading", "POST", "/api/v1/orders"),
        ("trading_queries", "GET", "/api/v1/orders"),
        ("portfolio", "GET", "/api/v1/portfolio"),
    ],
)
async def test_a_dead_service_is_503_with_a_time_to_come_again(
    fresh: "Running", service: str, method: str, path: str
) -> None:
    await fresh.client.get("/api/v1/auth/me", headers=fresh.bearer())  # the keys are known from here on
    await fresh.platform.take_away(service)
    body = ORDER if method == "POST" else None
    reply = await fresh.client.request(method, path, json=body, headers=fresh.bearer())
    details = checked(reply, 503, "SERVICE_UNAVAILABLE")
    assert details["reason"] != "outcome_unknown"
    assert int(reply.headers["retry-after"]) >= 1
    assert "127.0.0.1" not in reply.text


async def test_a_request_id_is_adopted_where_it_is_sane(up: "Running") -> None:
    reply = await up.client.get("/api/v1/nothing", headers={"X-Request-ID": "my-request.1"})
    assert reply.headers["x-request-id"] == "my-request.1"
    for insane in ("a b", "x" * 65, "<script>", ""):
        reply = await up.client.get("/api/v1/nothing", headers={"X-Request-ID": insane})
        checked(reply, 404, "NOT_FOUND")
        assert reply.headers["x-request-id"] != insane


async def test_parallel_bad_requests_get_ids_of_their_own(up: "Running") -> None:
    replies = await asyncio.gather(*(up.client.get("/api/v1/nothing") for _ in range(20)))
    assert len({reply.headers["x-request-id"] for reply in replies}) == 20
