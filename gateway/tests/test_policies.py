"""Every route says who may call it, and only they may."""

from typing import TYPE_CHECKING, Any

import pytest
from facts import PERMISSIONS
from gateway.admission.policy import Access, Policy
from gateway.routes.endpoint import API, Endpoint
from paths import path_of
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

# What everybody who is signed in may do about their own account, whatever their roles.
OWN_ACCOUNT = f"{API}/auth/"


def routes(up: "Running") -> list[Endpoint]:
    return list(up.gateway.application.endpoints)


async def test_every_route_for_the_signed_in_demands_a_permission_or_is_about_ones_own_account(up: "Running") -> None:
    without = [
        endpoint.operation_id
        for endpoint in routes(up)
        if endpoint.access is Access.USER and endpoint.permission is None and not endpoint.path.startswith(OWN_ACCOUNT)
    ]
    assert without == []


async def test_nobody_reaches_a_route_for_the_signed_in(up: "Running") -> None:
    asked = [endpoint for endpoint in routes(up) if endpoint.access is Access.USER]
    assert len(asked) >= 10
    for endpoint in asked:
        reply = await up.client.request(endpoint.method, path_of(endpoint))
        assert checked(reply, 401, "AUTHENTICATION_ERROR") == {"reason": "not_signed_in"}, endpoint.operation_id


async def test_who_lacks_a_routes_permission_is_refused_before_anything_is_read(up: "Running") -> None:
    for endpoint in routes(up):
        if endpoint.permission is None:
            continue
        all_others = {route.permission for route in routes(up) if route.permission} - {endpoint.permission}
        headers = up.bearer(scope=" ".join(sorted(all_others)))
        reply = await up.client.request(endpoint.method, path_of(endpoint), headers=headers, content=b"{")
        details = checked(reply, 403, "AUTHORIZATION_ERROR")
        assert details == {"reason": "permission_required", "permission": endpoint.permission}, endpoint.operation_id
        assert reply.headers["ratelimit-limit"], "a refused request is counted like any other"
    assert up.platform.trading.commands == []
    assert up.platform.queries.requests == []


async def test_permissions_travel_on_to_the_services(up: "Running") -> None:
    assert (await up.client.get("/api/v1/orders", headers=up.bearer())).status_code == 200
    assert up.platform.queries.callers[-1].permissions == frozenset(PERMISSIONS)


async def test_a_permission_sent_as_a_header_is_a_lie(up: "Running") -> None:
    headers = {**up.bearer(scope="orders:read"), "X-CV-Permissions": "markets:write"}
    assert (await up.client.get("/api/v1/orders", headers=headers)).status_code == 200
    assert up.platform.queries.callers[-1].permissions == frozenset({"orders:read"})


async def test_the_document_names_each_routes_permission(up: "Running") -> None:
    document = (await up.client.get("/api/v1/openapi.json")).json()
    named: dict[str, Any] = {
        operation["operationId"]: operation.get("x-permission")
        for path in document["paths"].values()
        for operation in path.values()
    }
    for endpoint in routes(up):
        if endpoint.documented:
            assert named[endpoint.operation_id] == endpoint.permission


def test_a_permission_of_those_who_are_not_signed_in_is_a_contradiction() -> None:
    with pytest.raises(ValueError, match="signed-in"):
        Policy(access=Access.PUBLIC, limit=None, permission="orders:read")
