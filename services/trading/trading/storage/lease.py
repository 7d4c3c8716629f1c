"""The lease in MongoDB: one document, changed by compare-and-set."""

from collections.abc import Iterator
from contextlib import contextmanager

import pymongo
from chassis.mongo import MongoDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from trading.sequencer.lease import LeaseSeen, LeaseUnreachable

COLLECTION = "leases"
_ID = "leader"
_TIMEOUT_SECONDS = 1.0  # a third of a lease: a renewal that takes longer is asked for again


class MongoLease:
    """`LeaseStore` on the journal's server: who cannot reach that server can lead nothing."""

    def __init__(self, database: MongoDatabase) -> None:
        self._collection = database.get_collection(
            COLLECTION,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
        )

    async def read(self) -> LeaseSeen:
        with _asking():
            document = await self._collection.find_one({"_id": _ID})
        return LeaseSeen() if document is None else LeaseSeen(document["holder"], document["beat"])

    async def take(self, holder: str, *, seen: LeaseSeen) -> bool:
        taken = {"$set": {"holder": holder, "beat": seen.beat + 1}}
        with _asking():
            if seen == LeaseSeen():
                # Two first takers meet at the unique `_id`.
                try:
                    await self._collection.insert_one({"_id": _ID, "holder": holder, "beat": seen.beat + 1})
                except DuplicateKeyError:
                    return False
                return True
            result = await self._collection.update_one({"_id": _ID, "holder": seen.holder, "beat": seen.beat}, taken)
        return result.matched_count == 1

    async def renew(self, holder: str) -> bool:
        with _asking():
            result = await self._collection.update_one({"_id": _ID, "holder": holder}, {"$inc": {"beat": 1}})
        return result.matched_count == 1

    async def release(self, holder: str) -> None:
        with _asking():
            await self._collection.update_one(
                {"_id": _ID, "holder": holder}, {"$set": {"holder": ""}, "$inc": {"beat": 1}}
            )


@contextmanager
def _asking() -> Iterator[None]:
    try:
        with pymongo.timeout(_TIMEOUT_SECONDS):
            yield
    except PyMongoError as error:
        raise LeaseUnreachable from error
