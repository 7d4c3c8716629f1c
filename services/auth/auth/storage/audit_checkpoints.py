from collections.abc import Sequence

from pymongo.errors import DuplicateKeyError

from auth.domain.audit_checkpoints import Checkpoint
from auth.storage.audit_rows import checkpoint_of_row, row_of_checkpoint
from auth.storage.documents import AuditCheckpointDocument
from auth.use_cases.audit_ports import CheckpointTaken


class MongoAuditCheckpoints:
    def __init__(self) -> None:
        self._rows = AuditCheckpointDocument.get_pymongo_collection()

    async def newest(self) -> Checkpoint | None:
        row = await self._rows.find_one({}, sort=[("_id", -1)])
        return None if row is None else checkpoint_of_row(row)

    async def add(self, checkpoint: Checkpoint) -> None:
        try:
            await self._rows.insert_one(row_of_checkpoint(checkpoint))
        except DuplicateKeyError as error:
            # The transaction is aborted by now; leaving it with this says so.
            raise CheckpointTaken from error

    async def since(self, number: int, limit: int) -> Sequence[Checkpoint]:
        found = self._rows.find({"_id": {"$gte": number}}).sort("_id", 1).limit(limit)
        return [checkpoint_of_row(row) async for row in found]
