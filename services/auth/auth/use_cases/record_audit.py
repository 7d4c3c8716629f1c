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
        caller = current_caller()
        entry = AuditEntry(
            id=self._ids.new(),
            user_id=user_id,
            actor=_actor(caller),
            action=action,
            resource=resource,
            address=caller.address,
            session_id=caller.session_id,
            request_id=caller.request_id,
            timestamp=self._clock.now(),
            details=details,
        )
        await self._audit_trail.append(AuditStream.AUTH, [entry])


def _actor(caller: Caller) -> str:
    return f"user:{caller.user_id}" if caller.user_id else caller.service
