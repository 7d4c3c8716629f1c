"""Auth writes in Redis what has ended, gateways read it there: both must mean the same keys."""

from uuid import UUID

from auth.storage import revoked_sessions
from gateway.admission.revocations import ALL_HERE_KEY, revocation_keys

SESSION = UUID("01890000-0000-7000-8000-0000000000cc")


def test_the_mark_of_a_whole_list_is_where_gateways_look_for_it() -> None:
    """Else they would ask auth about every request, and nothing else would show it."""
    assert revoked_sessions.LOADED_KEY == ALL_HERE_KEY


def test_an_end_is_where_gateways_look_for_it() -> None:
    assert revocation_keys(str(SESSION)) == (revoked_sessions._key(SESSION),)
