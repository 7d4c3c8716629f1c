from collections.abc import Sequence
from uuid import UUID

from auth.domain.audit import AuditEntry
from auth.storage.audit_rows import entry_of_fields, fields_of_entry
from auth.storage.documents import DeferredAuditDocument


class MongoDeferredAudit:
    """`audit_deferred`: rows like those of the trail, without a place in it. Ids go by time, so they keep the order."""

    def __init__(self) -> None:
        self._rows = DeferredAuditDocument.get_pymongo_collection()

    async def add(self, entry: AuditEntry) -> None:
        await self._rows.insert_one({"_id": entry.id, **fields_of_entry(entry)})

    async def oldest(self, limit: int) -> Sequence[AuditEntry]:
        rows = self._rows.find({}).sort("_id", 1).limit(limit)
        return [entry_of_fields(row, entry_id=row["_id"]) async for row in rows]

    async def remove(self, ids: Sequence[UUID]) -> None:
        await self._rows.delete_many({"_id": {"$in": list(ids)}})
