"""How far each fold of the journal has come. Moved by compare-and-set, so two projectors never both move one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from chassis.errors import MustEnd
from chassis.mongo import MongoDatabase

from trading.journal.batch import GENESIS_DIGEST

COLLECTION = "cursors"
ORDERS = "orders"
_REBUILDING = -1


@dataclass(frozen=True, slots=True)
class Cursor:
    """The newest batch folded in, and its digest: a journal that says otherwise was restored or tampered with."""

    batch: int = 0
    digest: bytes = GENESIS_DIGEST

    @classmethod
    def of_a_rebuild(cls) -> Self:
        """Stands where a projection is being made anew or exchanged, by one rebuild and no other: whoever projects must
        wait, and find its place anew.
        """
        return cls(_REBUILDING, uuid4().bytes)

    @property
    def is_of_a_rebuild(self) -> bool:
        return self.batch == _REBUILDING


class CursorMoved(MustEnd):
    """Another projector moved the cursor: this one must stop."""

    @classmethod
    def from_where_it_was(cls, name: str, before: Cursor) -> Self:
        return cls(f"another process moved the cursor {name} from batch {before.batch}")


class Cursors:
    def __init__(self, database: MongoDatabase) -> None:
        self._collection = database.get_collection(COLLECTION)

    async def read(self, name: str) -> Cursor:
        return _cursor(await self._collection.find_one({"_id": name}))

    async def put(self, name: str, cursor: Cursor) -> Cursor:
        """Wherever it is, which is returned: for who has stopped everybody else, or does so by this."""
        position = {"$set": {"batch": cursor.batch, "digest": cursor.digest}}
        return _cursor(await self._collection.find_one_and_update({"_id": name}, position, upsert=True))

    async def remove(self, name: str, cursor: Cursor) -> None:
        """Where it stands there."""
        await self._collection.delete_one({"_id": name, "batch": cursor.batch, "digest": cursor.digest})

    async def move(self, name: str, *, before: Cursor, after: Cursor) -> None:
        """Raises `CursorMoved`."""
        if before.batch == 0:
            # Two first moves meet at the unique `_id`: one inserts, the other does not find its batch 0.
            await self._collection.update_one(
                {"_id": name}, {"$setOnInsert": {"batch": 0, "digest": GENESIS_DIGEST}}, upsert=True
            )
        moved = await self._collection.update_one(
            {"_id": name, "batch": before.batch, "digest": before.digest},
            {"$set": {"batch": after.batch, "digest": after.digest}},
        )
        if moved.matched_count != 1:
            raise CursorMoved.from_where_it_was(name, before)


def _cursor(document: Mapping[str, Any] | None) -> Cursor:
    return Cursor() if document is None else Cursor(document["batch"], bytes(document["digest"]))
