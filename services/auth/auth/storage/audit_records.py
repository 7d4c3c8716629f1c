"""The audit trail as it lies in the database, row by row, for a verifier."""

from collections.abc import AsyncIterator

from auth.domain.audit_chain import SealedEntry
from auth.domain.audit_checkpoints import Checkpoint
from auth.storage.audit_rows import checkpoint_of_row, entry_of_row
from auth.storage.documents import AuditCheckpointDocument, AuditLogDocument
from auth.use_cases.audit_ports import BrokenRecord

ROWS_PER_FETCH = 2_000  # some 2 MB


class MongoAuditRecords:
    def __init__(self) -> None:
        self._entries = AuditLogDocument.get_pymongo_collection()
        self._checkpoints = AuditCheckpointDocument.get_pymongo_collection()

    async def count_entries(self) -> int:
        return await self._entries.count_documents({})

    async def entries(self, stream: str) -> AsyncIterator[SealedEntry | int]:
        which = {"stream": stream, "sequence": {"$gt": 0}}
        async for row in self._entries.find(which).sort("sequence", 1).batch_size(ROWS_PER_FETCH):
            try:
                yield entry_of_row(row)
            except BrokenRecord:
                yield int(row["sequence"])

    async def count_checkpoints(self) -> int:
        return await self._checkpoints.count_documents({})

    async def checkpoints(self) -> AsyncIterator[Checkpoint | int]:
        async for row in self._checkpoints.find({"_id": {"$gt": 0}}).sort("_id", 1).batch_size(ROWS_PER_FETCH):
            try:
                yield checkpoint_of_row(row)
            except BrokenRecord:
                yield int(row["_id"])
