"""Snapshots in MongoDB: chunks first, the manifest last; removed the other way round."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from chassis.crash_points import crash_point
from chassis.mongo import MongoDatabase
from pymongo import DESCENDING
from pymongo.errors import PyMongoError

from trading.sequencer.snapshots import DamagedSnapshot, Manifest, Snapshot, SnapshotsUnreachable

MANIFESTS = "snapshots"
CHUNKS = "snapshot_chunks"
KEPT = 3  # the newest may be damaged, and the one before it too


class MongoSnapshots:
    """`SnapshotStore`, in the projection's database: an append must not wait behind a snapshot."""

    def __init__(self, database: MongoDatabase) -> None:
        self._manifests = database.get_collection(MANIFESTS)
        self._chunks = database.get_collection(CHUNKS)

    async def manifests(self) -> list[Manifest]:
        with _asking():
            documents = await self._manifests.find({}).sort("_id", DESCENDING).to_list()
        return [_manifest(document) for document in documents]

    async def chunks(self, manifest: Manifest) -> list[bytes]:
        found: list[bytes] = []
        for index in range(len(manifest.state_chunks) + len(manifest.filter_chunks)):
            with _asking():
                document = await self._chunks.find_one({"_id": _chunk_id(manifest.batch, index)})
            if document is None:
                raise DamagedSnapshot(f"snapshot {manifest.batch} lacks chunk {index}")
            found.append(bytes(document["data"]))
        return found

    async def write(self, snapshot: Snapshot) -> None:
        """Again and again with the same end, until it returns."""
        batch = snapshot.manifest.batch
        with _asking():
            for index, chunk in enumerate(snapshot.chunks):
                identifier = _chunk_id(batch, index)
                row = {"_id": identifier, "batch": batch, "data": chunk}
                await self._chunks.replace_one({"_id": identifier}, row, upsert=True)
            crash_point("snapshot_before_manifest")
            await self._manifests.replace_one({"_id": batch}, _row(snapshot.manifest), upsert=True)

    async def prune(self) -> None:
        """Keeps the newest ones, and drops chunks whose manifest was never written."""
        with _asking():
            kept = [manifest.batch for manifest in (await self.manifests())[:KEPT]]
            await self._manifests.delete_many({"_id": {"$nin": kept}})
            await self._chunks.delete_many({"batch": {"$nin": kept}})


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise SnapshotsUnreachable from error


def _chunk_id(batch: int, index: int) -> str:
    return f"{batch}/{index}"


def _row(manifest: Manifest) -> dict[str, Any]:
    return {
        "_id": manifest.batch,
        "digest": manifest.digest,
        "epoch": manifest.epoch,
        "core_version": manifest.core_version,
        "state_hash": manifest.state_hash,
        "filter_hash": manifest.filter_hash,
        "state_chunks": list(manifest.state_chunks),
        "filter_chunks": list(manifest.filter_chunks),
    }


def _manifest(document: dict[str, Any]) -> Manifest:
    return Manifest(
        batch=document["_id"],
        digest=bytes(document["digest"]),
        epoch=document["epoch"],
        core_version=document["core_version"],
        state_hash=document["state_hash"],
        filter_hash=document["filter_hash"],
        state_chunks=tuple(document["state_chunks"]),
        filter_chunks=tuple(document["filter_chunks"]),
    )
