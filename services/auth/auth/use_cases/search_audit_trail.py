from chassis.identity import current_caller

from auth.use_cases.audit_ports import AuditFilter, AuditPage, AuditQueries

PERMISSION = "audit-logs:read"


class SearchAuditTrail:
    """Everybody's entries, for who looks after accounts."""

    def __init__(self, *, queries: AuditQueries) -> None:
        self._queries = queries

    async def __call__(self, wanted: AuditFilter, *, limit: int, cursor: str) -> AuditPage:
        """Raises NotSignedIn, PermissionMissing, InvalidArgument."""
        current_caller().require(PERMISSION)
        return await self._queries.page(wanted, limit=limit, cursor=cursor)
