"""The audit trail as its readers ask for it."""

from typing import TYPE_CHECKING

import pytest
from cryptovault.auth.v1 import auth_pb2
from facts import NOW, ORDER, SESSION, USER
from gateway.schemas import audit
from replies import checked

if TYPE_CHECKING:
    from conftest import Running

OWN, ALL = "/api/v1/audit", "/api/v1/admin/audit-logs"


def entry(actor: str = f"user:{USER}", user_id: str = USER) -> auth_pb2.AuditEntry:
    return auth_pb2.AuditEntry(
        id=ORDER, user_id=user_id, actor=actor, action="order_placed", resource=f"order:{ORDER}", address="203.0.113.7",
        session_id=SESSION, request_id="request-1", time=NOW, details={"market": "BTC-USD"}, stream="trading",
        sequence=7, hash=b"\x01" * 32,
    )  # fmt: skip


async def test_ones_own_entries_are_what_the_document_says(up: "Running") -> None:
    up.platform.auth.audit_entries = [entry(), entry("staff"), entry("platform")]
    reply = await up.client.get(OWN, headers=up.bearer(scope="audit:read"))
    page = audit.OwnAuditPage.model_validate_json(reply.content)
    assert [one.actor for one in page.items] == ["you", "staff", "platform"]
    assert page.next_cursor == "more"
    assert reply.json()["items"][0] == {
        "id": ORDER, "time": "2026-01-01T00:00:00.123Z", "action": "order_placed", "resource": f"order:{ORDER}",
        "address": "203.0.113.7", "session_id": SESSION, "request_id": "request-1", "details": {"market": "BTC-USD"},
        "actor": "you",
    }  # fmt: skip


async def test_everybodys_come_with_their_place_in_the_chain(up: "Running") -> None:
    up.platform.auth.audit_entries = [entry(), entry("operator:root", user_id="")]
    reply = await up.client.get(ALL, headers=up.bearer(scope="audit-logs:read"))
    page = audit.AuditPage.model_validate_json(reply.content)
    assert [(one.actor, one.user_id) for one in page.items] == [(f"user:{USER}", USER), ("operator:root", None)]
    assert (page.items[0].stream, page.items[0].sequence, page.items[0].hash) == ("trading", 7, "01" * 32)
    assert page.next_cursor is None


async def test_filters_travel_on_and_nobody_names_a_user_for_their_own(up: "Running") -> None:
    query = "action=order_placed&from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z&limit=7&cursor=abc"
    headers = up.bearer(scope="audit:read audit-logs:read")
    assert (await up.client.get(f"{OWN}?{query}", headers=headers)).status_code == 200
    assert (await up.client.get(f"{ALL}?{query}&user_id={USER}", headers=headers)).status_code == 200
    own, everybodys = up.platform.auth.requests[-2:]
    for request in (own, everybodys):
        assert (request.filter.action, request.limit, request.cursor) == ("order_placed", 7, "abc")
        assert (request.filter.from_time.seconds, request.filter.to_time.seconds) == (1_767_225_600, 1_769_904_000)
    assert (own.filter.user_id, everybodys.filter.user_id) == ("", USER)
    refused = await up.client.get(f"{OWN}?user_id={USER}", headers=headers)
    assert checked(refused, 400, "VALIDATION_ERROR")["field"] == "user_id"


@pytest.mark.parametrize("query", ["action=A", "from=yesterday", "to=2026-02-30T00:00:00Z", "limit=201", "user_id=x"])
async def test_what_makes_no_sense_is_refused(up: "Running", query: str) -> None:
    reply = await up.client.get(f"{ALL}?{query}", headers=up.bearer(scope="audit-logs:read"))
    checked(reply, 400, "VALIDATION_ERROR")
    assert up.platform.auth.requests == []


async def test_each_needs_its_own_permission(up: "Running") -> None:
    for path, scope in ((OWN, "audit-logs:read"), (ALL, "audit:read")):
        checked(await up.client.get(path, headers=up.bearer(scope=scope)), 403, "AUTHORIZATION_ERROR")
