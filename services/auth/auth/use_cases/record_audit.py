from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from chassis.clock import Clock
from chassis.identity import Caller, current_caller
from chassis.ids import Ids

from auth.domain.audit import AuditAction, AuditEntry
from auth.domain.audit_chain import AuditStream
from auth.use_cases.audit_ports import AuditTrail


class RecordAudit:
    """Writes down what the present caller did to an account."""

    def __init__(self, *, audit_trail: AuditTrail, clock: Clock, ids: Ids) -> None:
        self._audit_trail = audit_trail
        self._clock = clock
        self._ids = ids

    async def __call__(
        self, action: AuditAction, *, user_id: UUID, resource: str | None = None, **details: str
    ) -> None:
        """Joins the running transaction. `details` hold no secret."""
        entry = audit_entry(
            action,
            entry_id=self._ids.new(),
            caller=current_caller(),
            user_id=user_id,
            resource=resource,
            now=self._clock.now(),
            details=details,
        )
        await self._audit_trail.append(AuditStream.AUTH, [entry])


def audit_entry(
    action: AuditAction,
    *,
    entry_id: UUID,
    caller: Caller,
    user_id: UUID,
    resource: str | None,
    now: datetime,
    details: Mapping[str, str],
) -> AuditEntry:
    """What that caller did, to the account of `user_id`."""
    return AuditEntry(
        id=entry_id,
        user_id=user_id,
        actor=f"user:{caller.user_id}" if caller.user_id else caller.service,
        action=action,
        resource=resource,
        address=caller.address,
        session_id=caller.session_id,
        request_id=caller.request_id,
        timestamp=now,
        details=details,
    )
