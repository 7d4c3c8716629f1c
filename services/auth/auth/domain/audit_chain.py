"""The trail as a chain of hashes: each entry carries its number and the hash of the one before it, per stream.

As in Schneier and Kelsey, "Secure Audit Logs to Support Computer Forensics" (ACM TISSEC 2(2),
1999): what a later reader recomputes must be what was written, in that order and without gap.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from auth.domain.audit import AuditEntry

FORMAT = 1  # of the bytes that are hashed; a new one is read beside the old
GENESIS = bytes(32)  # the hash before the first entry of a stream
_LABEL = b"cryptovault/audit-entry/1\n"  # so that no hash of ours means anything else
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class AuditStream(StrEnum):
    """Each has one chain. Those of services that tell of themselves by events bear the service's name."""

    AUTH = "auth"
    TRADING = "trading"


@dataclass(frozen=True, slots=True)
class StreamHead:
    """How far a stream has come. Sequence 0 is before its first entry."""

    stream: str
    sequence: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedEntry:
    """An entry in its place: `sequence` counts the stream's entries 1, 2, 3, ... without gap."""

    entry: AuditEntry
    stream: str
    sequence: int
    previous_hash: bytes
    hash: bytes

    @property
    def head(self) -> StreamHead:
        return StreamHead(self.stream, self.sequence, self.hash)


def seal(head: StreamHead, entries: Iterable[AuditEntry]) -> Sequence[SealedEntry]:
    """The entries as they follow `head`. Times are cut to the millisecond, which is what the database keeps."""
    sealed = []
    for entry in entries:
        cut = replace(entry, timestamp=moment_of(milliseconds_of(entry.timestamp)))
        previous, sequence = head.hash, head.sequence + 1
        digest = entry_hash(cut, stream=head.stream, sequence=sequence, previous_hash=previous)
        next_one = SealedEntry(entry=cut, stream=head.stream, sequence=sequence, previous_hash=previous, hash=digest)
        sealed.append(next_one)
        head = next_one.head
    return sealed


def entry_hash(entry: AuditEntry, *, stream: str, sequence: int, previous_hash: bytes) -> bytes:
    """SHA-256 of everything that is stored of an entry but its hash."""
    return hashlib.sha256(
        canonical_bytes(entry, stream=stream, sequence=sequence, previous_hash=previous_hash)
    ).digest()


def canonical_bytes(entry: AuditEntry, *, stream: str, sequence: int, previous_hash: bytes) -> bytes:
    """One form for each entry: a label, then a JSON array in ASCII of integers, strings and null in a fixed order."""
    fields = [
        stream,
        sequence,
        previous_hash.hex(),
        str(entry.id),
        None if entry.user_id is None else str(entry.user_id),
        entry.actor,
        str(entry.action),
        entry.resource,
        entry.address,
        entry.session_id,
        entry.request_id,
        milliseconds_of(entry.timestamp),
        sorted(entry.details.items()),
    ]
    return _LABEL + json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode()


def milliseconds_of(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def moment_of(milliseconds: int) -> datetime:
    """Of milliseconds since 1970."""
    return _EPOCH + milliseconds * _MILLISECOND
