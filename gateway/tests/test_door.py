"""The edge itself: connections that dawdle, proxies, health, documents, the mailbox."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from chassis.identity import ADDRESS_KEY, PERMISSIONS_KEY, SERVICE_KEY, SESSION_KEY, USER_KEY
from chassis.settings import Profile
from chassis.testing import eventually
from facts import ORDER, SESSION, USER
from gateway.admission.cookies import read_cookies
from gateway.edge import bodies, http_protocol
from gateway.edge.addresses import ClientAddresses, limited_address
from gateway.openapi import DOCUMENT_PATH
from gateway.routes.endpoint import API
from gateway.schemas.errors import ErrorReply
from gateway.schemas.health import Health
from gateway.settings import GatewaySettings
from gateway.write_openapi import OPENAPI_FILE, openapi_text
from prometheus_client import generate_latest
from pydantic import ValidationError
from pytest_httpserver import HTTPServer
from raw_http import raw
from replies import checked

if TYPE_CHECKING:
    from conftest import Running, Start


@pytest.mark.parametrize(
    "text", [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n"]
)
async def test_what_is_not_http_gets_an_error_of_our_shape_and_a_closed_connection(up: "Running", text: bytes) -> None:
    head, _, body = (await raw(up, text)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert ErrorReply.model_validate_json(body).error.code == "VALIDATION_ERROR"
    assert b"x-content-type-options: nosniff" in head


async def test_a_head_without_end_is_refused_by_size(up: "Running") -> None:
    answer = await raw(up, b"GET / HTTP/1.1\r\n", *(b"X-Filler: " + b"x" * 4_000 + b"\r\n" for _ in range(20)))
    assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""


async def test_half_a_head_closes_the_connection_in_time(up: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS_MAX", 0.2)
    assert await raw(up, b"GET /health/live HTTP/1.1\r\nHost: x\r\n") == b""
    assert await raw(up) == b""


async def test_a_body_that_trickles_is_refused_in_time(up: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS_MAX", 0.2)
    monkeypatch.setattr(http_protocol, "REST_SECONDS_MAX", 0.2)
    head = (
        f"POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: {up.bearer()['Authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    answer = await raw(up, head.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"rule":"timely"' in answer
    assert not answer.endswith(b"<open>")


async def test_a_quick_request_leaves_its_connection_open(up: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS_MAX", 0.2)
    request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = await raw(up, request, request, wait=False)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.endswith(b"<open>")


def scope(peer: str) -> dict[str, Any]:
    return {"client": (peer, 1)}


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ((), "10.0.0.1", b"1.1.1.1", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"1.1.1.1", "1.1.1.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        (("10.0.0.0/8",), "9.9.9.9", b"1.1.1.1", "9.9.9.9"),
        (("10.0.0.0/8",), "10.0.0.1", b"", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"1.1.1.1, nonsense", "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (("10.0.0.0/8", "fd00::/8"), "fd00::1", b"2001:db8::1", "2001:db8::1"),
    ],
)
def test_only_named_proxies_are_believed_from_right_to_left(
    trusted: tuple[str, ...], peer: str, forwarded: bytes, expected: str
) -> None:
    networks = GatewaySettings(trusted_proxies=trusted).proxy_networks
    headers = {b"x-forwarded-for": forwarded} if forwarded else {}
    assert ClientAddresses(networks).of(scope(peer), headers) == expected


def test_an_ipv6_customer_is_one_network() -> None:
    assert limited_address("2001:db8:1:2:3::4") == limited_address("2001:db8:1:2:ffff::1") == "2001:db8:1:2::"
    assert limited_address("2001:db8:1:3::1") != limited_address("2001:db8:1:2::1")
    assert limited_address("::ffff:1.2.3.4") == "1.2.3.4"


def test_a_repeated_cookie_is_nobodys() -> None:
    assert read_cookies(b'a=1; b=2; a=3; c; d="4"') == {"b": "2", "d": "4"}
    assert read_cookies(None) == {}


async def test_the_address_behind_a_trusted_proxy_is_the_one_that_counts(start: "Start") -> None:
    async with start(trusted_proxies="127.0.0.0/8", limit_auth_per_address=1, limit_factor=1) as up:
        for address, status in (("1.1.1.1", 202), ("1.1.1.1", 429), ("2.2.2.2", 202)):
            reply = await up.client.post(
                "/api/v1/auth/resend-code", json={"email": "a@b.c"}, headers={"X-Forwarded-For": f"9.9.9.9, {address}"}
            )
            assert reply.status_code == status
        assert {caller.address for caller in up.platform.auth.callers} == {"1.1.1.1", "2.2.2.2"}


async def test_identity_headers_from_outside_are_worth_nothing(up: "Running") -> None:
    lies = {"x-cv-user-id": "somebody", "x-cv-service": "auth", "x-cv-session-id": "s", "x-cv-address": "6.6.6.6"}
    checked(await up.client.get("/api/v1/auth/me", headers=lies), 401, "AUTHENTICATION_ERROR")
    await up.client.get("/api/v1/auth/me", headers={**lies, **up.bearer()})
    caller = up.platform.auth.callers[-1]
    assert (caller.service, caller.user_id, caller.session_id, caller.address) == (
        "gateway",
        USER,
        SESSION,
        "127.0.0.1",
    )


async def test_identity_headers_from_outside_reach_no_route(up: "Running", monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def looking(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(name.decode() for name, _ in scope["headers"])
        await up.gateway.application(scope, receive, send)

    monkeypatch.setattr(up.gateway.door, "_routes", looking)
    ours = {SERVICE_KEY, USER_KEY, SESSION_KEY, PERMISSIONS_KEY, ADDRESS_KEY}
    await up.client.get("/api/v1/auth/me", headers={**dict.fromkeys(ours, "x"), "X-Other": "x"})
    assert "x-other" in seen
    assert ours.isdisjoint(seen)


async def test_above_what_can_be_at_work_requests_are_told_to_come_again(start: "Start") -> None:
    async with start(requests_in_flight_max=1) as up:
        up.platform.trading.silent = 1
        slow = asyncio.create_task(up.client.post("/api/v1/orders", headers=up.bearer(), json={
            "market": "BTC-USD", "side": "buy", "type": "market", "quantity": "1"}))  # fmt: skip
        await eventually(lambda: up.platform.trading.commands)
        details = checked(await up.client.get("/api/v1/markets"), 503, "SERVICE_UNAVAILABLE")
        assert details["reason"] == "overloaded"
        assert (await up.client.get("/health/live")).status_code == 200
        await slow


async def test_health_has_five_checks_with_state_and_time(up: "Running") -> None:
    reply = await up.client.get("/health")
    health = Health.model_validate_json(reply.content)
    assert set(health.checks) == {"database", "redis", "price_provider", "memory", "cpu"}
    assert (reply.status_code, health.checks["database"].status) == (200, "ok")
    assert health.checks["database"].details["auth"] == "serving"


async def test_health_and_readiness_tell_of_a_dead_service(fresh: "Running") -> None:
    await fresh.platform.take_away("portfolio")
    await asyncio.sleep(1.1)  # an answer is good for a second
    checks = (await fresh.client.get("/health")).json()["checks"]
    assert checks["database"]["status"] == "degraded"
    assert checks["database"]["details"]["portfolio"] == "not serving"
    details = checked(await fresh.client.get("/health/ready"), 503, "SERVICE_UNAVAILABLE")
    assert details["missing"] == "portfolio"
    assert (await fresh.client.get("/health/live")).json() == {"status": "ok"}


async def test_a_report_of_bad_health_is_what_the_document_says_of_503(start: "Start") -> None:
    async with start(redis_url="redis://127.0.0.1:1/0", ready=False) as up:
        reply = await up.client.get("/health")
        assert (reply.status_code, Health.model_validate_json(reply.content).status) == (503, "down")
        document = (await up.client.get(DOCUMENT_PATH)).json()
    described = document["paths"]["/health"]["get"]["responses"]["503"]["content"]["application/json"]
    assert described == {"schema": {"$ref": f"#/components/schemas/{Health.__name__}"}}


async def test_the_committed_document_is_the_one_of_the_routes() -> None:
    assert OPENAPI_FILE.read_text(encoding="utf-8") == await openapi_text(), (
        "the routes have changed: run `python -m gateway.write_openapi` and commit gateway/openapi.json"
    )


async def test_the_served_document_is_the_committed_one(up: "Running") -> None:
    served = (await up.client.get(DOCUMENT_PATH)).json()
    assert served == json.loads(OPENAPI_FILE.read_text(encoding="utf-8"))


async def test_every_operation_is_named_and_documents_its_errors(up: "Running") -> None:
    document = (await up.client.get(DOCUMENT_PATH)).json()
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(names) == len(set(names)) >= 28
    schemas = document["components"]["schemas"]
    for path, method, operation in operations:
        place = f"{method} {path}"
        assert {"500", "503"} <= operation["responses"].keys(), place
        for status, response in operation["responses"].items():
            assert "X-Request-ID" in response["headers"], place
            # Of bad health the report itself tells.
            if status >= "400" and (path, status) != ("/health", "503"):
                content = response["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorReply"}, place
                ErrorReply.model_validate(content["example"])
        if operation.get("security", [{}]) and {} not in operation.get("security", [{}]):
            assert "401" in operation["responses"], place
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert schemas[reference.rpartition("/")[2]]["additionalProperties"] is False, place
            assert "413" in operation["responses"], place
    references = {part.split('"')[0] for part in json.dumps(document).split('"#/components/schemas/')[1:]}
    assert references <= schemas.keys()


async def test_the_docs_page_needs_nothing_from_elsewhere(up: "Running") -> None:
    reply = await up.client.get("/docs")
    assert reply.headers["content-type"].startswith("text/html")
    assert "placeOrder" in reply.text
    assert "http://" not in reply.text
    assert "https://" not in reply.text
    assert "<script" not in reply.text
    assert (await up.client.get("/docs/style.css")).headers["content-type"].startswith("text/css")


async def test_the_mailbox_shows_mails_as_json_or_as_a_page(start: "Start", httpserver: HTTPServer) -> None:
    mail = {
        "to": "ada@example.com",
        "subject": "<b>Code</b>",
        "text": "123456 <script>",
        "html": "<p>",
        "sent_at": "now",
    }
    httpserver.expect_request("/messages").respond_with_json([mail])
    async with start(mailbox_url=httpserver.url_for("")) as up:
        assert (await up.client.get("/dev/mailbox")).json() == [mail]
        page = await up.client.get("/dev/mailbox", headers={"Accept": "text/html,*/*"})
        assert "&lt;script&gt;" in page.text
        assert "<script" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_without_a_mailbox_there_is_no_such_path(up: "Running", start: "Start") -> None:
    checked(await up.client.get("/dev/mailbox"), 404, "NOT_FOUND")
    async with start(mailbox_url="http://127.0.0.1:1") as down:
        checked(await down.client.get("/dev/mailbox"), 503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize(
    "settings",
    [
        {"profile": Profile.PRODUCTION, "mailbox_url": "http://127.0.0.1:1"},
        {"cors_origins": "*"},
        {"cors_origins": "https://app.example.com/"},
        {"trusted_proxies": "everybody"},
    ],
)
def test_dangerous_settings_are_refused_at_start(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GatewaySettings(**settings)


def test_profiles_raise_the_limits() -> None:
    production, local, bench = (
        GatewaySettings(profile=profile).allowances()["auth"].per_address
        for profile in (Profile.PRODUCTION, Profile.LOCAL, Profile.BENCH)
    )
    assert local == 10 * production
    assert bench > 1_000_000


async def test_a_request_line_is_logged_with_its_template_and_time(
    up: "Running", capsys: pytest.CaptureFixture[str]
) -> None:
    await up.client.get("/api/v1/markets/BTC-USD", headers={"X-Request-ID": "logged-1"})
    lines: list[dict[str, Any]] = []

    def logged() -> dict[str, Any] | None:
        lines.extend(json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
        return next((line for line in lines if line.get("request_id") == "logged-1"), None)

    line = await eventually(logged)
    assert line is not None
    assert (line["route"], line["status"], line["method"]) == ("/api/v1/markets/{symbol}", 200, "GET")
    assert line["duration_ms"] > 0


async def test_metrics_tell_of_nobody_and_of_nothing_that_was_sent(up: "Running") -> None:
    for path in (f"{API}/orders/{ORDER}", f"{API}/orders/by-client-id/canary", "/canary", f"{API}/orders?canary=1"):
        await up.client.get(path, headers=up.bearer())
    told = generate_latest().decode()
    assert f'route="{API}/orders/{{order_id}}"' in told
    for word in (USER, SESSION, ORDER, "canary", "127.0.0.1"):
        assert word not in told
