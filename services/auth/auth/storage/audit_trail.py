"""`audit_logs`: written here alone, at the end of its streams, in the transaction of what an entry tells of."""

from collections.abc import Sequence

from chassis.errors import Unavailable
from pymongo.errors import DuplicateKeyError

from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import GENESIS, StreamHead, seal
from auth.storage.audit_rows import head_of_row, row_of_entry
from auth.storage.documents import AuditLogDocument, AuditStreamDocument


class StreamMoved(Unavailable):
    """Another writer has appended meanwhile; nothing of ours may commit."""

    reason = "audit_stream_moved"

    def __init__(self) -> None:
        super().__init__("Somebody else wrote at the same moment; try again.")


class MongoAuditTrail:
    """Raw rows: a fold of the exchange's journal writes thousands at once."""

    def __init__(self) -> None:
        self._entries = AuditLogDocument.get_pymongo_collection()
        self._streams = AuditStreamDocument.get_pymongo_collection()

    async def open(self, stream: str) -> None:
        """Makes the stream's end where there is none. Outside of any transaction, before the first `append`."""
        if await self._streams.find_one({"_id": stream}, {"_id": 1}) is None:
            try:
                await self._streams.insert_one({"_id": stream, "sequence": 0, "hash": GENESIS})
            except DuplicateKeyError:
                return  # another process was first

    async def append(self, stream: str, entries: Sequence[AuditEntry]) -> None:
        """Raises StreamMoved, also where it is called outside of a transaction and another writer came first."""
        if not entries:
            return
        row = await self._streams.find_one({"_id": stream})
        if row is None:
            raise LookupError(f"the stream {stream!r} was never opened")
        head = head_of_row(row)
        sealed = seal(head, entries)
        # The end first: two writers meet here, in the one document that both change, before either has done any work.
        moved = await self._streams.update_one(
            {"_id": stream, "sequence": head.sequence},
            {"$set": {"sequence": sealed[-1].sequence, "hash": sealed[-1].hash}},
        )
        if moved.matched_count != 1:
            raise StreamMoved
        await self._entries.insert_many([row_of_entry(one) for one in sealed], ordered=True)

    async def heads(self) -> Sequence[StreamHead]:
        return [head_of_row(row) async for row in self._streams.find({}).sort("_id", 1)]
