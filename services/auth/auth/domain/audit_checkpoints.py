"""Signed statements of how far each stream of the audit trail had come: what was there then cannot be denied later."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auth.domain.audit_chain import StreamHead, milliseconds_of, moment_of

ENTRIES_BETWEEN = 1_000  # at most that many may be cut off unseen
INTERVAL = timedelta(seconds=60)  # or those of that time, whichever comes first
GENESIS_CHECKPOINT = bytes(32)
_LABEL = b"cryptovault/audit-checkpoint/1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """`number` counts 1, 2, 3, ... without gap; `signature` is Ed25519 (RFC 8032) over `signed_bytes`."""

    number: int
    taken_at: datetime
    heads: tuple[StreamHead, ...]
    previous_hash: bytes
    public_key: bytes
    signature: bytes = field(default=b"")

    @property
    def signed_bytes(self) -> bytes:
        """A label, then JSON in ASCII: number, milliseconds since 1970, heads by stream, previous hash, public key."""
        heads = sorted([head.stream, head.sequence, head.hash.hex()] for head in self.heads)
        fields = [
            self.number,
            milliseconds_of(self.taken_at),
            heads,
            self.previous_hash.hex(),
            self.public_key.hex(),
        ]
        return _LABEL + json.dumps(fields, separators=(",", ":"), ensure_ascii=True).encode()

    @property
    def hash(self) -> bytes:
        """SHA-256; the next checkpoint carries it."""
        return hashlib.sha256(self.signed_bytes).digest()

    @property
    def entries(self) -> int:
        """How many it vouches for."""
        return entries_of(self.heads)


def is_due(newest: Checkpoint | None, heads: Sequence[StreamHead], now: datetime) -> bool:
    """Nothing new needs none, so that a quiet night writes nothing."""
    since = entries_of(heads) - (newest.entries if newest else 0)
    if since <= 0:
        return False
    # A clock that was set back says nothing of the time since then: it may have been long.
    return newest is None or since >= ENTRIES_BETWEEN or not timedelta() <= now - newest.taken_at < INTERVAL


def entries_of(heads: Iterable[StreamHead]) -> int:
    return sum(head.sequence for head in heads)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """One line of JSON, as anchors and the log hold it; bytes in hexadecimal."""
    fields = {
        "number": checkpoint.number,
        "taken_at": milliseconds_of(checkpoint.taken_at),
        "heads": [[head.stream, head.sequence, head.hash.hex()] for head in checkpoint.heads],
        "previous_hash": checkpoint.previous_hash.hex(),
        "public_key": checkpoint.public_key.hex(),
        "signature": checkpoint.signature.hex(),
    }
    return json.dumps(fields, separators=(",", ":"))


class NoCheckpoint(ValueError):
    """A text that is not what `checkpoint_text` makes."""


def checkpoint_of_text(text: str) -> Checkpoint:
    """Raises NoCheckpoint."""
    try:
        fields = json.loads(text)
        return Checkpoint(
            number=int(fields["number"]),
            taken_at=moment_of(int(fields["taken_at"])),
            heads=tuple(
                StreamHead(str(name), int(last), bytes.fromhex(hash_)) for name, last, hash_ in fields["heads"]
            ),
            previous_hash=bytes.fromhex(fields["previous_hash"]),
            public_key=bytes.fromhex(fields["public_key"]),
            signature=bytes.fromhex(fields["signature"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise NoCheckpoint from error
