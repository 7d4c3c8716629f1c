"""API keys as people make, list and end them."""

from typing import TYPE_CHECKING, Any

import pytest
from facts import KEY, KEY_SECRET, ORDER, SESSION, USER
from gateway.schemas import api_keys as schemas
from replies import checked

if TYPE_CHECKING:
    from conftest import Running


@pytest.fixture
def stepped_up(up: "Running") -> None:
    """The session of `up.bearer()` has shown its second factor just now."""
    up.platform.auth.stepped_up_until[SESSION] = up.now() + 300


@pytest.mark.usefixtures("stepped_up")
async def test_keys_are_made_listed_and_ended_by_people(up: "Running") -> None:
    scope = "api-keys:read api-keys:write"
    body = {"name": "bot", "scopes": ["read"], "networks": ["203.0.113.0/24"], "expires_at": "2030-01-01T00:00:00Z"}
    reply = await up.client.post("/api/v1/api-keys", json=body, headers=up.bearer(scope=scope))
    assert reply.status_code == 201, reply.text
    assert schemas.CreatedApiKey.model_validate_json(reply.content).secret == KEY_SECRET
    asked = [type(request).__name__ for request in up.platform.auth.requests]
    assert asked == ["RequireStepUpRequest", "CreateApiKeyRequest"]
    assert up.platform.auth.requests[-1].expires_at.ToJsonString() == "2030-01-01T00:00:00Z"
    reply = await up.client.get("/api/v1/api-keys", headers=up.bearer(scope=scope))
    assert KEY_SECRET not in reply.text
    assert [key.id for key in schemas.ApiKeyPage.model_validate_json(reply.content).items] == [KEY]
    reply = await up.client.delete(f"/api/v1/api-keys/{ORDER}", headers=up.bearer(scope=scope))
    assert (reply.status_code, up.platform.auth.requests[-1].key_id) == (204, ORDER)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"name": ""}, "name", "min_length"),
        ({"scopes": []}, "scopes", "too_short"),
        ({"scopes": ["admin"]}, "scopes.0", "one_of"),
        ({"scopes": "read"}, "scopes", "list_type"),
        ({"networks": ["anywhere"]}, "networks.0", "cidr"),
        ({"expires_at": "soon"}, "expires_at", "rfc3339_utc"),
        ({"expires_at": "2026-02-31T00:00:00Z"}, "expires_at", "rfc3339_utc"),
        ({"user_id": USER}, "user_id", "unknown_field"),
    ],
)
@pytest.mark.usefixtures("stepped_up")
async def test_a_key_that_cannot_be_is_refused_by_field_and_rule(
    up: "Running", changes: dict[str, Any], field: str, rule: str
) -> None:
    body = {"name": "bot", "scopes": ["read"], **changes}
    reply = await up.client.post("/api/v1/api-keys", json=body, headers=up.bearer(scope="api-keys:write"))
    details = checked(reply, 400, "VALIDATION_ERROR")
    assert (details["field"], details["rule"]) == (field, rule)
    assert "CreateApiKeyRequest" not in [type(request).__name__ for request in up.platform.auth.requests]
