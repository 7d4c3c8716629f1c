from dataclasses import replace

from chassis.clock import Clock
from chassis.identity import current_caller
from chassis.ids import Ids

from auth.domain.audit import AuditAction
from auth.domain.sessions import Session
from auth.use_cases.audit_ports import DeferredAudit
from auth.use_cases.record_audit import audit_entry


class RecordAuditSoon:
    """Writes down what is done too often to take turns for the end of the chain: it is chained within a second."""

    def __init__(self, *, deferred: DeferredAudit, clock: Clock, ids: Ids) -> None:
        self._deferred = deferred
        self._clock = clock
        self._ids = ids

    async def signed_in(self, session: Session, *, by: str) -> None:
        """`by` says what proved who they are. Joins the running transaction."""
        entry = audit_entry(
            AuditAction.SIGNED_IN,
            entry_id=self._ids.new(),
            # Nobody's yet, as far as the call says; from here on it is theirs.
            caller=replace(current_caller(), user_id=str(session.user_id), session_id=str(session.id)),
            user_id=session.user_id,
            resource=f"session:{session.id}",
            now=self._clock.now(),
            details={"by": by, "device": session.device_name},
        )
        await self._deferred.add(entry)

    async def session_ended(self, session: Session, *, why: str) -> None:
        """Joins the running transaction."""
        entry = audit_entry(
            AuditAction.SESSION_ENDED,
            entry_id=self._ids.new(),
            caller=current_caller(),
            user_id=session.user_id,
            resource=f"session:{session.id}",
            now=self._clock.now(),
            details={"why": why},
        )
        await self._deferred.add(entry)
