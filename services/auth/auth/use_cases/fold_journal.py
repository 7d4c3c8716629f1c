from collections.abc import Sequence

from chassis.journal_consumer import Entry

from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import AuditStream
from auth.use_cases.audit_ports import AuditTrail

BatchActs = Sequence[AuditEntry]


class FoldJournal:
    """Takes what people did at the exchange into the trail: many batches in one transaction, each exactly once."""

    def __init__(self, *, audit_trail: AuditTrail) -> None:
        self._audit_trail = audit_trail

    async def __call__(self, batches: Sequence[Entry[BatchActs]]) -> None:
        """Database calls only, and may run twice."""
        await self._audit_trail.append(AuditStream.TRADING, [act for batch in batches for act in batch.payload])
