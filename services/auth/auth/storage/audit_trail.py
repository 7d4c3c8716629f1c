from auth.domain.audit import AuditEntry
from auth.storage.documents import AuditLogDocument


class MongoAuditTrail:
    """`audit_logs`, written in the transaction of what they tell of."""

    async def append(self, entry: AuditEntry) -> None:
        await AuditLogDocument(
            id=entry.id,
            user_id=entry.user_id,
            actor=entry.actor,
            action=entry.action,
            resource=entry.resource,
            ip_address=entry.address,
            session_id=entry.session_id,
            request_id=entry.request_id,
            timestamp=entry.timestamp,
            details=dict(entry.details),
        ).insert()
