"""What the use cases of the audit trail need of the outside. Adapters are in storage/ and crypto/."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import SealedEntry, StreamHead
from auth.domain.audit_checkpoints import Checkpoint


class AuditTrail(Protocol):
    async def open(self, stream: str) -> None:
        """Makes the stream where there is none. Outside of any transaction, before the first `append`."""
        ...

    async def append(self, stream: str, entries: Sequence[AuditEntry]) -> None:
        """Joins the running transaction: what happened and its record are there together or not at all."""
        ...

    async def heads(self) -> Sequence[StreamHead]:
        """How far each stream has come."""
        ...


class DeferredAudit(Protocol):
    """Entries that wait for their place in auth's stream, durably."""

    async def add(self, entry: AuditEntry) -> None:
        """Joins the running transaction; durably, before it returns, where there is none."""
        ...

    async def oldest(self, limit: int) -> Sequence[AuditEntry]:
        """Joins the running transaction."""
        ...

    async def remove(self, ids: Sequence[UUID]) -> None:
        """Joins the running transaction."""
        ...


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """`since` is within the time that is asked for, `until` is not."""

    user_id: UUID | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    entries: Sequence[SealedEntry]
    next_cursor: str  # empty at the end


class AuditQueries(Protocol):
    async def page(self, wanted: AuditFilter, *, limit: int, cursor: str) -> AuditPage:
        """Newest first. Raises InvalidArgument for a page that is too large or a cursor that is none of ours."""
        ...


class CheckpointTaken(Exception):
    """Another process took the checkpoint of that number."""


class BrokenRecord(Exception):
    """What is stored is nothing that was ever written here: a field is missing, is one too many, or of another kind."""


class AuditCheckpoints(Protocol):
    """Reading raises BrokenRecord."""

    async def newest(self) -> Checkpoint | None: ...

    async def add(self, checkpoint: Checkpoint) -> None:
        """Joins the running transaction. Raises CheckpointTaken."""
        ...

    async def since(self, number: int, limit: int) -> Sequence[Checkpoint]:
        """Oldest first, that number included."""
        ...


class CheckpointSigner(Protocol):
    @property
    def public_key(self) -> bytes:
        """32 bytes (RFC 8032)."""
        ...

    def sign(self, message: bytes) -> bytes: ...


class AuditAnchors(Protocol):
    """Checkpoints, kept where nobody who changes the database can change them. Reading raises BrokenRecord."""

    async def newest(self) -> Checkpoint | None: ...

    async def append(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Durably, before it returns."""
        ...


class AuditRecords(Protocol):
    """All that is stored, as it is, for a verifier. Instead of a record that is broken there is its number."""

    async def count_entries(self) -> int:
        """Also those that stand in no chain."""
        ...

    def entries(self, stream: str) -> AsyncIterator[SealedEntry | int]:
        """By sequence."""
        ...

    async def count_checkpoints(self) -> int: ...

    def checkpoints(self) -> AsyncIterator[Checkpoint | int]:
        """By number."""
        ...
