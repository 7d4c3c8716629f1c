"""Notes of prices in MongoDB: one document, replaced every second."""

from collections.abc import Mapping

import pymongo
from chassis.mongo import MongoDatabase
from pymongo.errors import PyMongoError

from trading.sequencer.price_notes import NotesUnreachable
from trading.sequencer.reference_prices import PriceWindow

COLLECTION = "price_notes"
_ID = "newest"
_TIMEOUT_SECONDS = 1.0  # the next note is due by then


class MongoPriceNotes:
    """`NotesStore` beside the journal. A failover may lose the newest: then the one before is the newest."""

    def __init__(self, database: MongoDatabase) -> None:
        self._collection = database.get_collection(COLLECTION)

    async def save(self, windows: Mapping[str, PriceWindow], noted_milliseconds: int) -> None:
        document = {
            "noted_milliseconds": noted_milliseconds,
            "windows": {name: [*one] for name, one in windows.items()},
        }
        try:
            with pymongo.timeout(_TIMEOUT_SECONDS):
                await self._collection.replace_one({"_id": _ID}, document, upsert=True)
        except PyMongoError as error:
            raise NotesUnreachable from error

    async def load(self) -> tuple[Mapping[str, PriceWindow], int]:
        try:
            with pymongo.timeout(_TIMEOUT_SECONDS):
                document = await self._collection.find_one({"_id": _ID})
        except PyMongoError as error:
            raise NotesUnreachable from error
        if document is None:
            return {}, 0
        return {name: PriceWindow(*one) for name, one in document["windows"].items()}, document["noted_milliseconds"]
