"""The journal in MongoDB: one document per batch, its number as `_id`.

Reads name the numbers they want instead of a range: numbers have no gap, so a point list is exact, and every server
answers it from the `_id` index.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymongo
from chassis.mongo import MongoConnection
from pymongo import DESCENDING
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference

from trading.journal.batch import SealedBatch, user_key
from trading.journal.store import JournalUnreachable
from trading.storage.appends import Appends
from trading.storage.archive import JournalArchive

COLLECTION = "journal"
APPEND_TIMEOUT_SECONDS = (
    2.0  # an order's whole deadline: by then its caller is gone and we should be asking what happened
)
READ_TIMEOUT_SECONDS = 5.0


class MongoJournal:
    """`Journal` over one collection."""

    def __init__(self, connection: MongoConnection, archive: JournalArchive | None = None) -> None:
        """`archive` is where old batches are; in the same database unless said otherwise."""
        self.archive = archive or JournalArchive(connection.database)
        self.database = connection.database
        plain = connection.database.get_collection(COLLECTION)
        self._collection = plain
        self._appends = Appends(connection, COLLECTION, timeout_seconds=APPEND_TIMEOUT_SECONDS)
        self._reads = plain.with_options(read_concern=ReadConcern("majority"), read_preference=ReadPreference.PRIMARY)
        self._linearizable = plain.with_options(
            read_concern=ReadConcern("linearizable"), read_preference=ReadPreference.PRIMARY
        )

    async def prepare(self) -> None:
        """Creates the index by which one user's events are found."""
        await self._collection.create_index("users")

    async def close(self) -> None:
        self._appends.close()

    async def append(self, batch: SealedBatch) -> None:
        await self._appends.insert(_document(batch))

    async def read(self, number: int) -> SealedBatch | None:
        with _reading():
            document = await self._linearizable.find_one({"_id": number})
            return None if document is None else await self._batch(document)

    async def read_after(self, number: int, limit: int) -> list[SealedBatch]:
        with _reading():
            found = await self._reads.find({"_id": {"$in": list(range(number + 1, number + 1 + limit))}}).to_list()
            batches = sorted([await self._batch(document) for document in found], key=lambda batch: batch.number)
        # A later number may become visible before an earlier one on its way; what follows a gap is for the next read.
        return [batch for index, batch in enumerate(batches, start=number + 1) if batch.number == index]

    async def head(self) -> int:
        """The newest durable batch's number; 0 for an empty journal. Raises `JournalUnreachable`."""
        with _reading():
            newest = await self._reads.find({}, {"_id": 1}).sort("_id", DESCENDING).limit(1).to_list()
        return newest[0]["_id"] if newest else 0

    async def of_user(self, user_id: str, sequences: Sequence[int]) -> list[SealedBatch]:
        keys = [user_key(user_id, sequence) for sequence in sequences]
        with _reading():
            found = await self._reads.find({"users": {"$in": keys}}).to_list()
            return sorted([await self._batch(document) for document in found], key=lambda batch: batch.number)

    async def leave_stubs(self, numbers: Sequence[int], *, volume: int) -> None:
        """The bodies of those batches are in that volume: here only their headers stay, so that no number is ever free
        again, and a user's events are still found. Raises `JournalUnreachable`; again with the same end.
        """
        with _reading():
            await self._collection.update_many(
                {"_id": {"$in": list(numbers)}}, {"$set": {"archived": volume}, "$unset": {"body": ""}}
            )

    async def _batch(self, document: dict[str, Any]) -> SealedBatch:
        volume = document.get("archived")
        body = document["body"] if volume is None else (await self.archive.bodies(volume))[document["_id"]]
        return _batch(document, bytes(body))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        with pymongo.timeout(READ_TIMEOUT_SECONDS):
            yield
    except PyMongoError as error:
        raise JournalUnreachable from error


def _document(batch: SealedBatch) -> dict[str, Any]:
    return {
        "_id": batch.number,
        "epoch": batch.epoch,
        "writer": batch.writer,
        "time": batch.time_milliseconds,
        "core_version": batch.core_version,
        "users": list(batch.users),
        "body": batch.body,
        "previous_digest": batch.previous_digest,
        "digest": batch.digest,
    }


def _batch(document: dict[str, Any], body: bytes) -> SealedBatch:
    return SealedBatch(
        number=document["_id"],
        epoch=document["epoch"],
        writer=document["writer"],
        time_milliseconds=document["time"],
        core_version=document["core_version"],
        users=tuple(document["users"]),
        body=body,
        previous_digest=bytes(document["previous_digest"]),
        digest=bytes(document["digest"]),
    )
