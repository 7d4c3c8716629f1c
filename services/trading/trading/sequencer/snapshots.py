"""Snapshots of the exchange as they are stored: canonical bytes in chunks, and a manifest that is written last.

So a snapshot without a manifest never was, and one whose bytes are not what its manifest says is passed over. The hash
in the manifest is the state's own (`domain.snapshot.state_hash`), so any two folds can be compared with it.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from trading.domain.snapshot import Plain, canonical_bytes, restore_snapshot
from trading.domain.state import ExchangeState
from trading.journal.batch import CORE_VERSION
from trading.sequencer.old_keys import EvictedKeys

CHUNK_BYTES = 1_000_000  # a chunk is one write, and what else the database does waits behind it
_COMPRESSION = 1  # a fifth of the size for a tenth of the time of the best one


class DamagedSnapshot(Exception):
    """Not what was written, or of a form that this release does not read. There are others, and the journal."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`batch` and `digest` say where in the journal the snapshot stands. Hashes in hex."""

    batch: int
    digest: bytes
    epoch: int
    core_version: int
    state_hash: str
    filter_hash: str  # of the filter of evicted keys
    state_chunks: tuple[str, ...]  # each chunk's SHA-256
    filter_chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    manifest: Manifest
    chunks: Sequence[bytes]  # the state's, then the filter's


@dataclass(frozen=True, slots=True)
class RestoredSnapshot:
    batch: int
    digest: bytes
    epoch: int
    state: ExchangeState
    evicted_keys: EvictedKeys


class SnapshotStore(Protocol):
    async def manifests(self) -> list[Manifest]:
        """Newest first. Raises `SnapshotsUnreachable`."""
        ...

    async def chunks(self, manifest: Manifest) -> list[bytes]:
        """Raises `DamagedSnapshot` where one is missing, `SnapshotsUnreachable`."""
        ...


class SnapshotsUnreachable(Exception):
    """No answer."""


def make_snapshot(plain: Plain, filter_content: bytes, *, batch: int, digest: bytes, epoch: int) -> Snapshot:
    """From a state as `take_snapshot` gave it. Touches nothing that lives, so it may run in a thread."""
    canonical = canonical_bytes(plain)
    state_chunks = _chunks(canonical)
    filter_chunks = _chunks(filter_content)
    manifest = Manifest(
        batch=batch,
        digest=digest,
        epoch=epoch,
        core_version=CORE_VERSION,
        state_hash=sha256(canonical).hexdigest(),
        filter_hash=sha256(filter_content).hexdigest(),
        state_chunks=tuple(sha256(chunk).hexdigest() for chunk in state_chunks),
        filter_chunks=tuple(sha256(chunk).hexdigest() for chunk in filter_chunks),
    )
    return Snapshot(manifest, [*state_chunks, *filter_chunks])


def restore(manifest: Manifest, chunks: Sequence[bytes]) -> RestoredSnapshot:
    """Raises `DamagedSnapshot`."""
    if tuple(sha256(chunk).hexdigest() for chunk in chunks) != manifest.state_chunks + manifest.filter_chunks:
        raise DamagedSnapshot(f"snapshot {manifest.batch}: its chunks are not those of its manifest")
    split = len(manifest.state_chunks)
    try:
        canonical = zlib.decompress(b"".join(chunks[:split]))
        content = zlib.decompress(b"".join(chunks[split:]))
        if sha256(canonical).hexdigest() != manifest.state_hash:
            raise DamagedSnapshot(f"snapshot {manifest.batch}: its state is not the one that was taken")
        if sha256(content).hexdigest() != manifest.filter_hash:
            raise DamagedSnapshot(f"snapshot {manifest.batch}: its filter is not the one that was taken")
        state = restore_snapshot(json.loads(canonical))
        evicted_keys = EvictedKeys.restored(content)
    except (zlib.error, ValueError) as error:
        raise DamagedSnapshot(f"snapshot {manifest.batch}: {error}") from error
    if state.batch_number != manifest.batch:
        raise DamagedSnapshot(f"snapshot {manifest.batch} holds batch {state.batch_number}")
    return RestoredSnapshot(manifest.batch, manifest.digest, manifest.epoch, state, evicted_keys)


def _chunks(content: bytes) -> list[bytes]:
    compressed = zlib.compress(content, _COMPRESSION)
    return [compressed[first : first + CHUNK_BYTES] for first in range(0, len(compressed), CHUNK_BYTES)]
