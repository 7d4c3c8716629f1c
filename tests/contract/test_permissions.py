"""The gateway demands permissions by name, auth's roles grant them by name: both must mean the same names."""

import json
from pathlib import Path

from auth.domain.api_keys import PERMISSIONS_BY_SCOPE
from auth.domain.roles import PERMISSIONS_BY_ROLE
from gateway.admission.policy import STEP_UP_PERMISSIONS

OPENAPI = Path(__file__).resolve().parents[2] / "gateway" / "openapi.json"

GRANTED = {permission for permissions in PERMISSIONS_BY_ROLE.values() for permission in permissions}


def test_every_permission_that_a_route_demands_is_granted_by_some_role() -> None:
    document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    demanded = {
        operation["x-permission"]
        for path in document["paths"].values()
        for operation in path.values()
        if "x-permission" in operation
    }
    assert demanded
    assert demanded <= GRANTED, sorted(demanded - GRANTED)


def test_every_permission_that_takes_a_second_factor_is_one_that_there_is() -> None:
    """One that auth has renamed would take none any more."""
    assert STEP_UP_PERMISSIONS <= GRANTED, sorted(STEP_UP_PERMISSIONS - GRANTED)


def test_of_what_is_dear_a_key_may_move_its_owners_money_and_nothing_else() -> None:
    of_keys = {permission for permissions in PERMISSIONS_BY_SCOPE.values() for permission in permissions}
    assert of_keys & STEP_UP_PERMISSIONS == {"wallet:transfer", "wallet:withdraw"}
