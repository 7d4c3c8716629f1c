"""The gateway demands permissions by name, auth's roles grant them by name: both must mean the same names."""

import json
from pathlib import Path

from auth.domain.roles import PERMISSIONS_BY_ROLE

OPENAPI = Path(__file__).resolve().parents[2] / "gateway" / "openapi.json"


def test_every_permission_that_a_route_demands_is_granted_by_some_role() -> None:
    document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    demanded = {
        operation["x-permission"]
        for path in document["paths"].values()
        for operation in path.values()
        if "x-permission" in operation
    }
    granted = {permission for permissions in PERMISSIONS_BY_ROLE.values() for permission in permissions}
    assert demanded
    assert demanded <= granted, sorted(demanded - granted)
