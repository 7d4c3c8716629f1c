from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from auth.domain.audit_chain import StreamHead
from auth.domain.audit_checkpoints import Checkpoint
from auth.domain.audit_findings import ChainVerifier, CheckpointVerifier, Fault, Finding
from auth.use_cases.audit_ports import AuditRecords, AuditTrail

OUTSIDE = "outside"  # stands where a finding names a stream: rows of no stream


@dataclass(frozen=True, slots=True)
class Verdict:
    """`entries` by stream. Of those, `unsigned` came after the newest checkpoint: no signature holds them yet."""

    entries: dict[str, int]
    checkpoints: int
    unsigned: int
    findings: Sequence[Finding]


class VerifyAuditTrail:
    """Recomputes every hash and checks every signature. Only reads, and may run while others write."""

    def __init__(
        self,
        *,
        audit_trail: AuditTrail,
        records: AuditRecords,
        is_signed: Callable[[Checkpoint], bool],
    ) -> None:
        self._audit_trail = audit_trail
        self._records = records
        self._is_signed = is_signed

    async def count(self) -> int:
        """How many steps it will take, more or less."""
        return await self._records.count_entries() + await self._records.count_checkpoints()

    async def __call__(self, anchored: Iterable[Checkpoint], step: Callable[[], None]) -> Verdict:
        """`anchored` were kept elsewhere than in the database; `step` is called for each record.

        Raises BrokenRecord where an anchor is none.
        """
        checkpoints = CheckpointVerifier(self._is_signed)
        async for checkpoint in self._records.checkpoints():
            if isinstance(checkpoint, int):
                checkpoints.take_unreadable(checkpoint)
            else:
                checkpoints.take(checkpoint)
            step()
        for checkpoint in anchored:
            checkpoints.take_anchored(checkpoint)
        checkpoints.finish()
        findings = list(checkpoints.findings)
        # In this order: what is written meanwhile is then beyond the ends that were read, never short of them.
        stored = await self._records.count_entries()
        heads = {head.stream: head for head in await self._audit_trail.heads()}
        entries: dict[str, int] = {}
        unsigned = read = 0
        for stream in sorted({*heads, *checkpoints.marks}):
            marks = checkpoints.marks.get(stream, {})
            chain = ChainVerifier(stream, marks=marks, head=heads.get(stream))
            read += await self._walk(chain, stream, step)
            chain.finish(await self._head(stream))
            entries[stream] = chain.last
            unsigned += max(0, chain.last - max(marks, default=0))
            findings += chain.findings
        if stored > read:
            findings.append(Finding(OUTSIDE, Fault.FOREIGN, 1, stored - read))
        return Verdict(entries, checkpoints.last, unsigned, findings)

    async def _walk(self, chain: ChainVerifier, stream: str, step: Callable[[], None]) -> int:
        read = 0
        async for entry in self._records.entries(stream):
            if isinstance(entry, int):
                chain.take_unreadable(entry)
            else:
                chain.take(entry)
            read += 1
            step()
        return read

    async def _head(self, stream: str) -> StreamHead | None:
        return next((head for head in await self._audit_trail.heads() if head.stream == stream), None)
