"""What is dear takes a second factor that was shown a moment ago, however one is signed in; of a key its scopes."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from added_routes import added
from auth_stand_in import STEP_UP_SECONDS, api_key
from chassis.errors import ErrorKind, RemoteError
from cryptovault.auth.v1 import auth_pb2
from facts import KEY, KEY_PERMISSIONS, KEY_SECRET, PERMISSIONS, SESSION
from gateway.admission.policy import STEP_UP_PERMISSIONS, Access, LimitClass
from gateway.routes.endpoint import API, Endpoint
from replies import checked
from signed_requests import signed
from starlette.requests import Request
from starlette.responses import Response

if TYPE_CHECKING:
    from conftest import Running

WITHDRAWALS = f"{API}/wallet/withdrawals"
STEP_UP = f"{API}/auth/step-up"
OTHER_SESSION = "01890000-0000-7000-8000-00000000000c"


async def withdraw(_request: Request) -> Response:
    return Response(status_code=204)


def endpoint(**changes: Any) -> Endpoint:
    """A route that says of a second factor what all others say: nothing."""
    fields: dict[str, Any] = {
        "method": "POST", "path": WITHDRAWALS, "handler": withdraw, "access": Access.USER,
        "limit": LimitClass.TRADING, "permission": "wallet:withdraw", "operation_id": "withdraw",
        "summary": "Withdraw", "tag": "wallet", **changes,
    }  # fmt: skip
    return Endpoint(**fields)


@pytest.fixture
def withdrawing(up: "Running") -> Iterator["Running"]:
    with added(up, endpoint()):
        yield up


def bearer(up: "Running", **claims: Any) -> dict[str, str]:
    return up.bearer(scope=" ".join([*PERMISSIONS, "wallet:withdraw"]), **claims)


def by_cookie(up: "Running") -> dict[str, str]:
    """As a browser sends them."""
    csrf = up.csrf_token()
    token = bearer(up)["Authorization"].removeprefix("Bearer ")
    origin = f"http://{up.host}:{up.port}"
    return {"Cookie": f"__Host-cv_access={token}; __Host-cv_csrf={csrf}", "X-CSRF-Token": csrf, "Origin": origin}


def test_what_changes_something_dear_needs_it_by_its_permission_alone() -> None:
    for permission in STEP_UP_PERMISSIONS:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert endpoint(method=method, permission=permission).policy.step_up
        assert not endpoint(method="GET", permission=permission).policy.step_up
    assert not endpoint(permission="orders:write").policy.step_up


async def test_only_what_takes_power_away_is_excepted(up: "Running") -> None:
    excepted = [
        route.operation_id
        for route in up.gateway.application.endpoints
        if route.permission in STEP_UP_PERMISSIONS and route.method != "GET" and not route.policy.step_up
    ]
    assert excepted == ["deleteApiKey"]


async def test_the_document_says_what_needs_it(up: "Running") -> None:
    document = (await up.client.get(f"{API}/openapi.json")).json()
    assert document["paths"][f"{API}/api-keys"]["post"]["x-step-up"] is True
    assert "x-step-up" not in document["paths"][f"{API}/api-keys"]["get"]


@pytest.mark.parametrize("sign_in", [bearer, by_cookie])
async def test_a_withdrawal_takes_a_second_factor_of_five_minutes_at_most(withdrawing: "Running", sign_in: Any) -> None:
    up, auth = withdrawing, withdrawing.platform.auth

    async def is_let_in() -> bool:
        reply = await up.client.post(WITHDRAWALS, headers=sign_in(up))
        if reply.status_code == 204:
            return True
        details = checked(reply, 403, "AUTHORIZATION_ERROR")
        assert details == {"reason": "step_up_required", "two_factor": "enabled"}
        return False

    assert not await is_let_in()
    reply = await up.client.post(STEP_UP, json={"code": "123456"}, headers=sign_in(up))
    assert reply.status_code == 200, reply.text
    assert await is_let_in()
    assert await is_let_in(), "it opens the session for a while, not for one request"
    shown = auth.stepped_up_until[SESSION] - STEP_UP_SECONDS
    auth.stepped_up_until[SESSION] = shown  # so much time has passed
    assert not await is_let_in()


async def test_a_step_up_passes_its_code_on_and_says_until_when(up: "Running") -> None:
    for code in ("123456", "ABCDE-fghjk", "abcde fghjk"):
        reply = await up.client.post(STEP_UP, json={"code": code}, headers=up.bearer())
        until = datetime.fromisoformat(reply.json()["expires_at"]).timestamp()
        assert until == up.platform.auth.stepped_up_until[SESSION]
        assert up.platform.auth.requests[-1].code == code
    up.platform.auth.reset()
    for code in ("12345", "1" * 33, "<script>", ""):
        reply = await up.client.post(STEP_UP, json={"code": code}, headers=up.bearer())
        assert checked(reply, 400, "VALIDATION_ERROR")["field"] == "code"
    assert up.platform.auth.requests == []


async def test_the_second_factor_of_one_session_opens_no_other(withdrawing: "Running") -> None:
    up = withdrawing
    assert (await up.client.post(STEP_UP, json={"code": "123456"}, headers=bearer(up))).status_code == 200
    reply = await up.client.post(WITHDRAWALS, headers=bearer(up, sid=OTHER_SESSION))
    assert checked(reply, 403, "AUTHORIZATION_ERROR")["reason"] == "step_up_required"


async def test_nobody_and_who_lacks_the_permission_are_refused_before_auth_is_asked(withdrawing: "Running") -> None:
    up = withdrawing
    checked(await up.client.post(WITHDRAWALS), 401, "AUTHENTICATION_ERROR")
    details = checked(await up.client.post(WITHDRAWALS, headers=up.bearer()), 403, "AUTHORIZATION_ERROR")
    assert details == {"reason": "permission_required", "permission": "wallet:withdraw"}
    assert up.platform.auth.requests == []


async def test_nothing_dear_happens_while_auth_does_not_answer(withdrawing: "Running") -> None:
    up = withdrawing
    up.platform.auth.error = RemoteError(kind=ErrorKind.UNAVAILABLE, reason="unavailable", message="Not now.")
    checked(await up.client.post(WITHDRAWALS, headers=bearer(up)), 503, "SERVICE_UNAVAILABLE")


@pytest.mark.parametrize(
    ("scopes", "permissions", "status"),
    [(["read", "trade"], KEY_PERMISSIONS, 403), (["withdraw"], ("api-keys:read", "wallet:withdraw"), 204)],
)
async def test_a_key_withdraws_by_its_scope_alone(
    fresh: "Running", scopes: list[str], permissions: tuple[str, ...], status: int
) -> None:
    """Its second factor was shown when it was made; it has none to show, and its owner's helps it to nothing."""
    auth = fresh.platform.auth
    auth.stepped_up_until[SESSION] = fresh.now() + STEP_UP_SECONDS  # its owner's browser has shown one just now
    found = auth_pb2.FindApiKeyResponse(key=api_key(scopes=scopes), secret=KEY_SECRET, permissions=permissions)
    auth.api_keys[KEY] = found
    with added(fresh, endpoint()):
        reply = await fresh.client.post(WITHDRAWALS, headers=signed("POST", WITHDRAWALS))
        assert reply.status_code == status, reply.text
        if status == 403:
            details = checked(reply, 403, "AUTHORIZATION_ERROR")
            assert details == {"reason": "permission_required", "permission": "wallet:withdraw"}
