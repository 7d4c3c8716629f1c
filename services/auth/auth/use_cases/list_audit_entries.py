from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from chassis.identity import current_caller

from auth.domain.audit import AuditEntry
from auth.use_cases.audit_ports import AuditFilter, AuditPage, AuditQueries

STAFF = "staff"
PLATFORM = "platform"
_PEOPLE = ("user:", "operator:")
_INTERNAL_DETAILS = frozenset({"reason"})  # words that staff wrote for staff


class ListAuditEntries:
    """What happened to the caller's own account. Of others who acted on it, an owner hears their kind alone."""

    def __init__(self, *, queries: AuditQueries) -> None:
        self._queries = queries

    async def __call__(self, wanted: AuditFilter, *, limit: int, cursor: str) -> AuditPage:
        """Whoever `wanted` names. Raises NotSignedIn, InvalidArgument."""
        owner = UUID(current_caller().required_user())
        page = await self._queries.page(replace(wanted, user_id=owner), limit=limit, cursor=cursor)
        return AuditPage([replace(one, entry=_as_owner_sees(one.entry)) for one in page.entries], page.next_cursor)


def _as_owner_sees(entry: AuditEntry) -> AuditEntry:
    if entry.is_by_its_user:
        return entry
    kind = STAFF if entry.actor.startswith(_PEOPLE) else PLATFORM
    details: Mapping[str, str] = {name: text for name, text in entry.details.items() if name not in _INTERNAL_DETAILS}
    return replace(entry, actor=kind, address=None, session_id=None, details=details)
