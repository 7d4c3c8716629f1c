"""Signing up, in and out, for programs and for browsers."""

import json
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from chassis.errors import ErrorKind, RemoteError
from chassis.grpc_client import READ_DEADLINE_SECONDS
from facts import ORDER, SESSION
from gateway.schemas import identity as schemas
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

AUTH = "/api/v1/auth"
CREDENTIALS = {"email": "ada@example.com", "password": "correct horse battery"}


def cookies_of(reply: httpx.Response) -> dict[str, Any]:
    jar: SimpleCookie = SimpleCookie()
    for header in reply.headers.get_list("set-cookie"):
        jar.load(header)
    return dict(jar)


def own_origin(up: "Running") -> dict[str, str]:
    return {"Origin": f"http://{up.host}:{up.port}"}


async def test_signing_up_and_asking_for_a_code_answer_202_and_nothing_more(up: "Running") -> None:
    reply = await up.client.post(f"{AUTH}/signup", json={**CREDENTIALS, "name": "Ada"})
    assert (reply.status_code, reply.json()) == (202, {"status": "accepted"})
    reply = await up.client.post(f"{AUTH}/resend-code", json={"email": "ada@example.com"})
    assert (reply.status_code, reply.json()) == (202, {"status": "accepted"})
    assert [type(request).__name__ for request in up.platform.auth.requests] == ["SignUpRequest", "ResendCodeRequest"]


async def test_what_spends_a_code_or_a_token_has_more_time_than_a_read(fresh: "Running") -> None:
    bodies = {
        "resend-code": {"email": "ada@example.com"},
        "verify-email": {"email": "ada@example.com", "code": "123456", "delivery": "body"},
        "refresh": {"refresh_token": "r", "delivery": "body"},
        "logout": {"refresh_token": "r"},
    }
    for path, body in bodies.items():
        reply = await fresh.client.post(f"{AUTH}/{path}", json=body)
        assert reply.is_success, reply.text
    reply = await fresh.client.post(f"{AUTH}/logout-all", headers=fresh.bearer())
    assert reply.is_success, reply.text
    assert len(fresh.platform.auth.deadlines) == 5
    assert min(fresh.platform.auth.deadlines) > 2 * READ_DEADLINE_SECONDS


@pytest.mark.parametrize(
    ("path", "body"),
    [("login", CREDENTIALS), ("verify-email", {"email": "ada@example.com", "code": "123456"})],
)
async def test_programs_get_tokens_in_the_body_and_no_cookies(up: "Running", path: str, body: dict[str, str]) -> None:
    reply = await up.client.post(f"{AUTH}/{path}", json={**body, "delivery": "body"})
    session = schemas.SignedIn.model_validate_json(reply.content)
    assert session.access_token
    assert session.refresh_token == "refresh-secret-2"
    assert (session.expires_in, session.token_type, session.csrf_token) == (1800, "Bearer", None)
    assert "set-cookie" not in reply.headers
    me = await up.client.get(f"{AUTH}/me", headers={"Authorization": f"Bearer {session.access_token}"})
    schemas.User.model_validate_json(me.content)


async def test_browsers_get_locked_cookies_and_no_tokens_in_the_body(up: "Running") -> None:
    reply = await up.client.post(f"{AUTH}/login", json=CREDENTIALS, headers=own_origin(up))
    session = schemas.SignedIn.model_validate_json(reply.content)
    assert (session.access_token, session.refresh_token, session.token_type) == (None, None, None)
    cookies = cookies_of(reply)
    access, refresh, csrf = (cookies[name] for name in ("__Host-cv_access", "__Secure-cv_refresh", "__Host-cv_csrf"))
    assert (access["path"], access["max-age"], access["domain"]) == ("/", "1800", "")
    assert (refresh["path"], refresh["samesite"], refresh["max-age"]) == (AUTH, "Strict", "604800")
    assert all(cookie["secure"] for cookie in (access, refresh, csrf))
    assert (bool(access["httponly"]), bool(refresh["httponly"]), bool(csrf["httponly"])) == (True, True, False)
    assert session.csrf_token == csrf.value
    assert access.value not in reply.text


async def test_another_sites_page_cannot_sign_its_visitor_in(up: "Running") -> None:
    headers = {"Origin": "https://evil.example"}
    reply = await up.client.post(f"{AUTH}/login", json=CREDENTIALS, headers=headers)
    checked(reply, 403, "AUTHORIZATION_ERROR")
    assert up.platform.auth.requests == []


async def test_a_program_refreshes_with_its_token(up: "Running") -> None:
    reply = await up.client.post(f"{AUTH}/refresh", json={"refresh_token": "refresh-secret-1"})
    assert schemas.SignedIn.model_validate_json(reply.content).refresh_token == "refresh-secret-2"
    asked = up.platform.auth.requests[-1]
    assert (asked.refresh_token, asked.device_token) == ("refresh-secret-1", "")


async def test_a_refresh_that_brings_no_device_token_leaves_the_browser_the_one_it_has(fresh: "Running") -> None:
    fresh.platform.auth.device_token = ""
    csrf = fresh.csrf_token(refresh_token="r")
    headers = {"Cookie": f"__Secure-cv_refresh=r; __Host-cv_csrf={csrf}", "X-CSRF-Token": csrf} | own_origin(fresh)
    assert cookies_of(await fresh.client.post(f"{AUTH}/refresh", headers=headers)).keys() == {
        "__Host-cv_access", "__Secure-cv_refresh", "__Host-cv_csrf",
    }  # fmt: skip
    reply = await fresh.client.post(f"{AUTH}/refresh", json={"refresh_token": "r"})
    assert schemas.SignedIn.model_validate_json(reply.content).device_token is None


async def test_a_refresh_shows_its_device_by_cookie_or_in_the_body(up: "Running") -> None:
    csrf = up.csrf_token()
    cookies = f"__Secure-cv_refresh=refresh-secret-1; __Secure-cv_device=device-secret-1; __Host-cv_csrf={csrf}"
    headers = {"Cookie": cookies, "X-CSRF-Token": csrf} | own_origin(up)
    await up.client.post(f"{AUTH}/refresh", headers=headers)
    asked = up.platform.auth.requests[-1]
    assert (asked.refresh_token, asked.device_token) == ("refresh-secret-1", "device-secret-1")
    body = {"refresh_token": "refresh-secret-2", "device_token": "device-secret-2"}
    await up.client.post(f"{AUTH}/refresh", json=body)
    asked = up.platform.auth.requests[-1]
    assert (asked.refresh_token, asked.device_token) == ("refresh-secret-2", "device-secret-2")


async def test_a_browser_refreshes_by_cookie_with_its_csrf_token_only(up: "Running") -> None:
    csrf = up.csrf_token()
    cookie = {"Cookie": f"__Secure-cv_refresh=refresh-secret-1; __Host-cv_csrf={csrf}"}
    checked(await up.client.post(f"{AUTH}/refresh", headers=cookie), 403, "AUTHORIZATION_ERROR")
    checked(await up.client.post(f"{AUTH}/refresh", headers=cookie | own_origin(up)), 403, "AUTHORIZATION_ERROR")
    assert up.platform.auth.requests == []
    headers = cookie | own_origin(up) | {"X-CSRF-Token": csrf}
    reply = await up.client.post(f"{AUTH}/refresh", headers=headers)
    assert reply.status_code == 200, reply.text
    assert cookies_of(reply)["__Secure-cv_refresh"].value == "refresh-secret-2"
    assert reply.json()["refresh_token"] is None


async def test_a_browsers_csrf_token_comes_with_its_session_and_changes_with_each_refresh(up: "Running") -> None:
    order = {"market": "BTC-USD", "side": "buy", "type": "limit", "quantity": "0.5", "price": "50000"}
    reply = await up.client.post(f"{AUTH}/login", json=CREDENTIALS, headers=own_origin(up))
    for _ in range(2):
        cookies = {name: morsel.value for name, morsel in cookies_of(reply).items()}
        headers = own_origin(up) | {
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "X-CSRF-Token": cookies["__Host-cv_csrf"],
        }
        placed = await up.client.post("/api/v1/orders", json=order, headers=headers)
        assert placed.status_code == 201, placed.text
        reply = await up.client.post(f"{AUTH}/refresh", headers=headers)
        assert reply.status_code == 200, reply.text
        assert cookies_of(reply)["__Host-cv_csrf"].value != cookies["__Host-cv_csrf"]


async def test_a_spent_refresh_cookie_is_taken_from_the_browser(up: "Running") -> None:
    up.platform.auth.error = RemoteError(
        kind=ErrorKind.UNAUTHENTICATED, reason="refresh_token_reused", message="Sign in again."
    )
    csrf = up.csrf_token(refresh_token="r")
    headers = {"Cookie": f"__Secure-cv_refresh=r; __Host-cv_csrf={csrf}", "X-CSRF-Token": csrf} | own_origin(up)
    reply = await up.client.post(f"{AUTH}/refresh", headers=headers)
    assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "refresh_token_reused"}
    assert {cookie.value for cookie in cookies_of(reply).values()} == {""}


async def test_without_a_refresh_token_there_is_nothing_to_refresh(up: "Running") -> None:
    for body in (None, {}, {"refresh_token": None}):
        checked(await up.client.post(f"{AUTH}/refresh", json=body), 401, "AUTHENTICATION_ERROR")


@pytest.mark.parametrize("reason", ["invalid_code", "code_expired"])
async def test_a_wrong_code_is_401_and_too_many_are_429(up: "Running", reason: str) -> None:
    body = {"email": "ada@example.com", "code": "123456"}
    up.platform.auth.error = RemoteError(
        kind=ErrorKind.UNAUTHENTICATED, reason=reason, message="No.", details={"tries_left": "4"}
    )
    reply = await up.client.post(f"{AUTH}/verify-email", json=body)
    assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": reason, "tries_left": "4"}
    up.platform.auth.error = RemoteError(kind=ErrorKind.EXHAUSTED, reason="too_many_attempts", message="No.")
    checked(await up.client.post(f"{AUTH}/verify-email", json=body), 429, "RATE_LIMIT_EXCEEDED")
    assert "123456" not in reply.text


async def test_a_lock_says_how_long_it_lasts(up: "Running") -> None:
    up.platform.auth.error = RemoteError(
        kind=ErrorKind.EXHAUSTED, reason="account_locked", message="Closed.", details={"retry_after_seconds": "900"}
    )
    reply = await up.client.post(f"{AUTH}/login", json=CREDENTIALS)
    assert checked(reply, 429, "RATE_LIMIT_EXCEEDED")["reason"] == "account_locked"
    assert reply.headers["retry-after"] == "900"


async def test_logging_out_needs_a_session_and_clears_the_cookies(fresh: "Running") -> None:
    checked(await fresh.client.post(f"{AUTH}/logout"), 401, "AUTHENTICATION_ERROR")
    reply = await fresh.client.post(f"{AUTH}/logout", headers=fresh.bearer(), json={})
    assert (reply.status_code, reply.content) == (204, b"")
    assert len(cookies_of(reply)) == 3, "the device stays known"
    assert fresh.platform.auth.callers[-1].session_id == SESSION


async def test_a_refresh_token_alone_ends_its_session(up: "Running") -> None:
    reply = await up.client.post(f"{AUTH}/logout", json={"refresh_token": "r"}, headers=up.bearer(exp=1))
    assert reply.status_code == 204
    assert up.platform.auth.requests[-1].refresh_token == "r"


async def test_logging_out_everywhere_is_for_the_signed_in(fresh: "Running") -> None:
    checked(await fresh.client.post(f"{AUTH}/logout-all"), 401, "AUTHENTICATION_ERROR")
    assert (await fresh.client.post(f"{AUTH}/logout-all", headers=fresh.bearer())).status_code == 204
    checked(await fresh.client.get(f"{AUTH}/me", headers=fresh.bearer()), 401, "AUTHENTICATION_ERROR")


async def test_a_profile_is_changed_and_answered_as_it_then_is(up: "Running") -> None:
    reply = await up.client.patch(f"{AUTH}/me", json={"name": "Ada Lovelace"}, headers=up.bearer())
    assert schemas.User.model_validate_json(reply.content).name == "Ada Lovelace"
    for body in ({}, {"name": None}, {"name": ""}, {"name": "Ada", "email": "eve@example.com"}, {"roles": ["admin"]}):
        reply = await up.client.patch(f"{AUTH}/me", json=body, headers=up.bearer())
        checked(reply, 400, "VALIDATION_ERROR")
    assert len(up.platform.auth.requests) == 1


PASSWORD_CALLS: list[tuple[str, dict[str, str], str]] = [
    ("forgot", {"email": "ada@example.com"}, "RequestPasswordResetRequest"),
    (
        "reset",
        {"email": "ada@example.com", "code": "123456", "new_password": "a new battery staple"},
        "ResetPasswordRequest",
    ),
    (
        "change",
        {"current_password": "correct horse battery", "new_password": "a new battery staple"},
        "ChangePasswordRequest",
    ),
]


@pytest.mark.parametrize(("path", "body", "message"), PASSWORD_CALLS)
async def test_what_is_done_about_passwords_is_accepted_and_passed_on(
    up: "Running", path: str, body: dict[str, str], message: str
) -> None:
    reply = await up.client.post(f"{AUTH}/password/{path}", json=body, headers=up.bearer())
    assert (reply.status_code, reply.json()) == (202, {"status": "accepted"})
    request = up.platform.auth.requests[-1]
    assert type(request).__name__ == message
    assert {name: getattr(request, name) for name in body} == body


@pytest.mark.parametrize(("path", "body", "message"), PASSWORD_CALLS)
async def test_no_password_or_code_is_repeated_in_an_error(
    up: "Running", path: str, body: dict[str, str], message: str
) -> None:
    for name, value in body.items():
        for broken in ({**body, name: value + "\ud800x" * 400}, {**body, name: 5}, {**body, "more": value}):
            content = json.dumps(broken).encode()
            headers = {**up.bearer(), "Content-Type": "application/json"}
            reply = await up.client.post(f"{AUTH}/password/{path}", content=content, headers=headers)
            checked(reply, 400, "VALIDATION_ERROR")
            assert not [secret for secret in body.values() if secret in reply.text]
    assert up.platform.auth.requests == [], message


async def test_a_wrong_old_password_signs_nobody_out(up: "Running") -> None:
    up.platform.auth.error = RemoteError(kind=ErrorKind.FORBIDDEN, reason="wrong_password", message="No.")
    reply = await up.client.post(f"{AUTH}/password/change", json=PASSWORD_CALLS[2][1], headers=up.bearer())
    assert checked(reply, 403, "AUTHORIZATION_ERROR") == {"reason": "wrong_password"}
    assert (await up.client.post(f"{AUTH}/password/change", json=PASSWORD_CALLS[2][1])).status_code == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [("login", CREDENTIALS), ("verify-email", {"email": "ada@example.com", "code": "123456"})],
)
async def test_a_device_that_signed_in_before_says_so_by_cookie_or_in_the_body(
    up: "Running", path: str, body: dict[str, str]
) -> None:
    reply = await up.client.post(f"{AUTH}/{path}", json=body, headers=own_origin(up))
    cookie = cookies_of(reply)["__Secure-cv_device"]
    assert cookie.value == "device-secret-1"
    assert reply.json()["device_token"] is None
    assert (cookie["path"], cookie["samesite"], bool(cookie["httponly"]), cookie["secure"]) == (
        AUTH,
        "Strict",
        True,
        True,
    )
    headers = {**own_origin(up), "Cookie": "__Secure-cv_device=device-secret-1", "User-Agent": "Firefox on Linux"}
    await up.client.post(f"{AUTH}/{path}", json=body, headers=headers)
    device = up.platform.auth.requests[-1].device
    assert (device.name, device.token) == ("Firefox on Linux", "device-secret-1")
    program = {**body, "delivery": "body", "device_token": "device-secret-2"}
    reply = await up.client.post(f"{AUTH}/{path}", json=program)
    assert reply.json()["device_token"] == "device-secret-1"
    assert up.platform.auth.requests[-1].device.token == "device-secret-2"


async def test_the_second_half_of_a_sign_in_delivers_like_the_first(up: "Running") -> None:
    body = {"challenge": "challenge-1", "code": "123456"}
    reply = await up.client.post(f"{AUTH}/login/mfa", json={**body, "delivery": "body"})
    assert schemas.SignedIn.model_validate_json(reply.content).refresh_token == "refresh-secret-2"
    request = up.platform.auth.requests[-1]
    assert (request.challenge, request.code) == ("challenge-1", "123456")
    reply = await up.client.post(f"{AUTH}/login/mfa", json=body, headers=own_origin(up))
    assert "__Host-cv_access" in cookies_of(reply)
    assert schemas.SignedIn.model_validate_json(reply.content).refresh_token is None
    checked(
        await up.client.post(f"{AUTH}/login/mfa", json=body, headers={"Origin": "https://evil.example"}), 403,
        "AUTHORIZATION_ERROR",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "status", "document"),
    [
        ("2fa/disable", 204, None),
        ("2fa/recovery-codes", 200, {"recovery_codes": ["abcde-fghij"]}),
    ],
)
async def test_a_second_factor_is_passed_on_and_its_answer_handed_out(
    up: "Running", path: str, status: int, document: Any
) -> None:
    for code in ("123456", "ABCDE-fghjk", "abcde fghjk"):
        reply = await up.client.post(f"{AUTH}/{path}", json={"code": code}, headers=up.bearer())
        assert (reply.status_code, reply.json() if reply.content else None) == (status, document)
        assert up.platform.auth.requests[-1].code == code
    up.platform.auth.reset()
    for code in ("12345", "1" * 33, "<script>", ""):
        reply = await up.client.post(f"{AUTH}/{path}", json={"code": code}, headers=up.bearer())
        details = checked(reply, 400, "VALIDATION_ERROR")
        assert (details["field"], details["rule"], details.get("value")) == ("code", "second_factor", None)
    assert up.platform.auth.requests == []


async def test_a_second_factor_is_switched_on_by_a_code_and_the_password(up: "Running") -> None:
    body = {"code": "123456", "password": "correct horse battery"}
    reply = await up.client.post(f"{AUTH}/2fa/enable", json=body, headers=up.bearer())
    assert reply.json() == {"recovery_codes": ["abcde-fghij"]}
    asked = up.platform.auth.requests[-1]
    assert (asked.code, asked.password) == ("123456", "correct horse battery")
    up.platform.auth.reset()
    for field_name in body:
        reply = await up.client.post(f"{AUTH}/2fa/enable", json=body | {field_name: ""}, headers=up.bearer())
        assert checked(reply, 400, "VALIDATION_ERROR")["field"] == field_name
        lacking = {name: value for name, value in body.items() if name != field_name}
        checked(await up.client.post(f"{AUTH}/2fa/enable", json=lacking, headers=up.bearer()), 400, "VALIDATION_ERROR")
    assert up.platform.auth.requests == []


async def test_a_secret_for_the_app_comes_in_three_forms(up: "Running") -> None:
    reply = await up.client.post(f"{AUTH}/2fa/setup", headers=up.bearer())
    assert reply.json() == {"secret": "ABC", "otpauth_uri": "otpauth://totp/x", "qr_rows": ["10", "01"]}
    assert reply.headers["cache-control"] == "no-store"


async def test_sessions_are_listed_and_the_present_one_is_marked(up: "Running") -> None:
    reply = await up.client.get(f"{AUTH}/sessions", headers=up.bearer())
    page = schemas.SessionPage.model_validate_json(reply.content)
    assert [(one.id, one.device, one.current) for one in page.items] == [(SESSION, "Firefox", True), (ORDER, "", False)]


async def test_a_session_that_was_ended_is_over_here_at_once(fresh: "Running") -> None:
    reply = await fresh.client.delete(f"{AUTH}/sessions/{ORDER}", headers=fresh.bearer())
    assert (reply.status_code, cookies_of(reply)) == (204, {})
    checked(await fresh.client.get(f"{AUTH}/me", headers=fresh.bearer(sid=ORDER)), 401, "AUTHENTICATION_ERROR")
    reply = await fresh.client.delete(f"{AUTH}/sessions/{SESSION}", headers=fresh.bearer())
    assert len(cookies_of(reply)) == 3
    checked(await fresh.client.get(f"{AUTH}/me", headers=fresh.bearer()), 401, "AUTHENTICATION_ERROR")
    checked(await fresh.client.delete(f"{AUTH}/sessions/x", headers=fresh.bearer(sid="s")), 400, "VALIDATION_ERROR")


async def test_an_account_is_frozen_by_link_or_by_its_session_and_by_nobody(fresh: "Running") -> None:
    checked(await fresh.client.post(f"{AUTH}/freeze"), 401, "AUTHENTICATION_ERROR")
    assert fresh.platform.auth.requests == []
    reply = await fresh.client.post(f"{AUTH}/freeze", json={"token": "ticket-1"})
    assert (reply.status_code, fresh.platform.auth.requests[-1].token) == (202, "ticket-1")
    reply = await fresh.client.post(f"{AUTH}/freeze", headers=fresh.bearer())
    assert (reply.status_code, len(cookies_of(reply)), fresh.platform.auth.requests[-1].token) == (202, 3, "")
    checked(await fresh.client.get(f"{AUTH}/me", headers=fresh.bearer()), 401, "AUTHENTICATION_ERROR")
