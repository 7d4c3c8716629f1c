"""Entries and checkpoints of the audit trail as they lie in the database, and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import FORMAT, SealedEntry, StreamHead
from auth.domain.audit_checkpoints import Checkpoint
from auth.use_cases.audit_ports import BrokenRecord

Row = Mapping[str, Any]


def row_of_entry(sealed: SealedEntry) -> dict[str, Any]:
    return {
        "id": sealed.entry.id,
        **fields_of_entry(sealed.entry),
        "stream": sealed.stream,
        "sequence": sealed.sequence,
        "previous_hash": sealed.previous_hash,
        "hash": sealed.hash,
        "format": FORMAT,
    }


def fields_of_entry(entry: AuditEntry) -> dict[str, Any]:
    """All but its id."""
    return {
        "user_id": entry.user_id,
        "actor": entry.actor,
        "action": str(entry.action),
        "resource": entry.resource,
        "ip_address": entry.address,
        "session_id": entry.session_id,
        "request_id": entry.request_id,
        "timestamp": entry.timestamp,
        "details": dict(entry.details),
    }


def entry_of_fields(row: Row, *, entry_id: UUID) -> AuditEntry:
    return AuditEntry(
        id=entry_id,
        user_id=row["user_id"],
        actor=row["actor"],
        action=row["action"],
        resource=row["resource"],
        address=row["ip_address"],
        session_id=row["session_id"],
        request_id=row["request_id"],
        timestamp=row["timestamp"],
        details=row["details"],
    )


_ENTRY_KINDS: dict[str, type | tuple[type, ...]] = {
    "id": UUID,
    "user_id": (UUID, type(None)),
    "actor": str,
    "action": str,
    "resource": (str, type(None)),
    "ip_address": (str, type(None)),
    "session_id": (str, type(None)),
    "request_id": str,
    "timestamp": datetime,
    "details": dict,
    "stream": str,
    "sequence": int,
    "previous_hash": bytes,
    "hash": bytes,
    "format": int,
}
_CHECKPOINT_KINDS: dict[str, type | tuple[type, ...]] = {
    "taken_at": datetime,
    "heads": list,
    "previous_hash": bytes,
    "hash": bytes,
    "public_key": bytes,
    "signature": bytes,
}


def entry_of_row(row: Row) -> SealedEntry:
    """Raises BrokenRecord. That it is what was hashed is for the verifier to say."""
    _check_kinds(row, _ENTRY_KINDS)
    if row["format"] != FORMAT:
        raise BrokenRecord
    return SealedEntry(
        entry=entry_of_fields(row, entry_id=row["id"]),
        stream=row["stream"],
        sequence=row["sequence"],
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )


def row_of_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "_id": checkpoint.number,
        "taken_at": checkpoint.taken_at,
        "heads": [{"stream": head.stream, "sequence": head.sequence, "hash": head.hash} for head in checkpoint.heads],
        "previous_hash": checkpoint.previous_hash,
        "hash": checkpoint.hash,
        "public_key": checkpoint.public_key,
        "signature": checkpoint.signature,
    }


def checkpoint_of_row(row: Row) -> Checkpoint:
    """Raises BrokenRecord, also where the hash beside it is another one."""
    _check_kinds(row, _CHECKPOINT_KINDS)
    checkpoint = Checkpoint(
        number=row["_id"],
        taken_at=row["taken_at"],
        heads=tuple(map(head_of_row, row["heads"])),
        previous_hash=row["previous_hash"],
        public_key=row["public_key"],
        signature=row["signature"],
    )
    if checkpoint.hash != row["hash"]:
        raise BrokenRecord
    return checkpoint


def head_of_row(row: Row) -> StreamHead:
    """Of a checkpoint's list, or of `audit_streams`, where the stream is the row's own id."""
    stream, sequence, digest = row.get("stream", row.get("_id")), row.get("sequence"), row.get("hash")
    if not (isinstance(stream, str) and isinstance(sequence, int) and isinstance(digest, bytes)):
        raise BrokenRecord
    return StreamHead(stream, sequence, digest)


def _check_kinds(row: Row, kinds: Mapping[str, type | tuple[type, ...]]) -> None:
    if row.keys() - {"_id"} != kinds.keys():
        raise BrokenRecord
    if not all(isinstance(row[name], kind) for name, kind in kinds.items()):
        raise BrokenRecord
