"""Old batches of the journal in volumes, out of the way of its appends."""

import zlib
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import bson
from chassis.mongo import MongoDatabase
from pymongo import DESCENDING

from trading.journal.batch import BrokenChain
from trading.journal.store import HistoryArchived

VOLUMES = "journal_volumes"
VOLUME_BYTES = 4_000_000  # of batches, before compression; a document may have 16 MiB
VOLUME_BATCHES_MAX = 1_024
_CACHED = 4  # a reader goes through a volume batch by batch
_COMPRESSION = 6


class JournalArchive:
    """A volume holds the bodies of batches without gap; its `_id` is the first one's number."""

    def __init__(self, database: MongoDatabase) -> None:
        self._volumes = database.get_collection(VOLUMES)
        self._cache: OrderedDict[int, dict[int, bytes]] = OrderedDict()

    async def newest(self) -> tuple[int, int] | None:
        """First and last batch of the newest volume."""
        found = await self._volumes.find({}, {"last": 1}).sort("_id", DESCENDING).limit(1).to_list()
        return (found[0]["_id"], found[0]["last"]) if found else None

    async def write(self, bodies: Sequence[tuple[int, bytes]]) -> None:
        """Durable, and read back, by its return. Numbers without gap. Again with the same end."""
        numbers = [number for number, _ in bodies]
        data = zlib.compress(bson.encode({"bodies": [body for _, body in bodies]}), _COMPRESSION)
        volume = {"last": numbers[-1], "digest": sha256(data).digest(), "data": data}
        await self._volumes.replace_one({"_id": numbers[0]}, volume, upsert=True)
        self._cache.pop(numbers[0], None)
        if await self.bodies(numbers[0]) != dict(bodies):
            raise BrokenChain(f"the volume of batch {numbers[0]} does not read as it was written")

    async def bodies(self, first: int) -> dict[int, bytes]:
        """By batch number. Raises `HistoryArchived` where the volume is gone, `BrokenChain` where it is damaged."""
        if first in self._cache:
            self._cache.move_to_end(first)
            return self._cache[first]
        volume: dict[str, Any] | None = await self._volumes.find_one({"_id": first})
        if volume is None:
            raise HistoryArchived
        data = bytes(volume["data"])
        if sha256(data).digest() != bytes(volume["digest"]):
            raise BrokenChain(f"the volume of batch {first} is not what was written")
        stored = bson.decode(zlib.decompress(data))["bodies"]
        bodies = {first + place: bytes(body) for place, body in enumerate(stored)}
        self._cache[first] = bodies
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return bodies
