"""What can be wrong with the audit trail, and how it shows: plain rules over what was stored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from auth.domain.audit_chain import SealedEntry, StreamHead, entry_hash
from auth.domain.audit_checkpoints import GENESIS_CHECKPOINT, Checkpoint

CHECKPOINTS = "checkpoints"  # stands where a finding names a stream


class Fault(StrEnum):
    EDITED = "edited"  # what is stored is not what was hashed
    DELETED = "deleted"  # a gap
    TRUNCATED = "truncated"  # the end is missing
    RESTAMPED = "restamped"  # the chain was computed anew: somebody who cannot be moved knows another hash
    FORGED = "forged"  # no trusted key made the signature
    FOREIGN = "foreign"  # rows that belong to no chain


@dataclass(frozen=True, slots=True)
class Finding:
    """`first` is the first wrong sequence of the stream (or number of a checkpoint); `last` the end of the range that
    the fault lies in, where it is not that one alone.
    """

    stream: str
    fault: Fault
    first: int
    last: int | None = None

    def __str__(self) -> str:
        end = "" if self.last in (None, self.first) else f" to {self.last}"
        return f"{self.stream} {self.first}{end}: {self.fault}"


class ChainVerifier:
    """Takes one stream's entries in the order of their sequence; `findings` are in that order too.

    `marks` are the hashes that trusted checkpoints know, by sequence; `head` is what the database said of the stream's
    end before the first entry was read.
    """

    def __init__(self, stream: str, *, marks: Mapping[int, bytes], head: StreamHead | None) -> None:
        self._stream = stream
        self._marks = marks
        self._head = head
        self._last = StreamHead(stream)
        self._last_is_whole = True
        self._agreed = 0  # up to here what others know of it agrees
        self._restamped = False
        self.findings: list[Finding] = []

    @property
    def last(self) -> int:
        return self._last.sequence

    def take(self, entry: SealedEntry) -> None:
        if entry.sequence <= self._last.sequence:
            self._find(Fault.FOREIGN, entry.sequence)  # two of one number: the index that forbids it is gone
            return
        whole = is_whole(entry)
        self._expect(entry.sequence)
        follows = entry.previous_hash == self._last.hash or entry.sequence != self._last.sequence + 1
        if whole and self._last_is_whole and not follows:
            # This one is as it was hashed, and what it was hashed to follow is not what stands before it.
            self._find(Fault.EDITED, max(1, self._last.sequence))
        if whole:
            self._compare(entry)
        else:
            self._find(Fault.EDITED, entry.sequence)
        self._last, self._last_is_whole = entry.head, whole

    def take_unreadable(self, sequence: int) -> None:
        """A row that is none of ours."""
        self._expect(sequence)
        self._find(Fault.EDITED, sequence)
        self._last, self._last_is_whole = StreamHead(self._stream, sequence), False

    def finish(self, head_now: StreamHead | None) -> None:
        """`head_now` is the end as the database says it after the last entry was read."""
        promised = max([*self._marks, self._head.sequence if self._head else 0], default=0)
        if promised > self._last.sequence:
            self._find(Fault.TRUNCATED, self._last.sequence + 1, promised)
        elif self._last.sequence > (head_now.sequence if head_now else 0):
            self._find(Fault.FOREIGN, (head_now.sequence if head_now else 0) + 1, self._last.sequence)

    def _expect(self, sequence: int) -> None:
        if sequence > self._last.sequence + 1:
            self._find(Fault.DELETED, self._last.sequence + 1, sequence - 1)

    def _compare(self, entry: SealedEntry) -> None:
        known = [self._marks[entry.sequence]] if entry.sequence in self._marks else []
        if self._head is not None and entry.sequence == self._head.sequence:
            known.append(self._head.hash)
        if all(one == entry.hash for one in known):
            self._agreed = entry.sequence if known else self._agreed
        elif not self._restamped:
            # All links may hold, and yet it is another chain. Once is enough: every later mark says the same.
            self._restamped = True
            self._find(Fault.RESTAMPED, self._agreed + 1, entry.sequence)

    def _find(self, fault: Fault, first: int, last: int | None = None) -> None:
        self.findings.append(Finding(self._stream, fault, first, last))


def is_whole(entry: SealedEntry) -> bool:
    """Whether it is what was hashed."""
    try:
        recomputed = entry_hash(
            entry.entry, stream=entry.stream, sequence=entry.sequence, previous_hash=entry.previous_hash
        )
    except (TypeError, ValueError, AttributeError, OverflowError):
        return False  # a value of a kind that we never write
    return recomputed == entry.hash


class CheckpointVerifier:
    """Takes the stored checkpoints by number, then those that were kept elsewhere. `is_signed` asks whether a trusted
    key made the signature. What either vouches for is in `marks`: by stream and sequence, the hash.
    """

    def __init__(self, is_signed: Callable[[Checkpoint], bool]) -> None:
        self._is_signed = is_signed
        self._previous_hash = GENESIS_CHECKPOINT
        self._stored: dict[int, bytes] = {}
        self._last = 0
        self._missing: list[int] = []
        self.marks: dict[str, dict[int, bytes]] = {}
        self.findings: list[Finding] = []

    @property
    def last(self) -> int:
        return self._last

    def take(self, checkpoint: Checkpoint) -> None:
        if checkpoint.number > self._last + 1:
            self._find(Fault.DELETED, self._last + 1, checkpoint.number - 1)
        elif self._previous_hash and checkpoint.previous_hash != self._previous_hash:
            self._find(Fault.EDITED, max(1, self._last))
        if self._is_signed(checkpoint):
            self._stored[checkpoint.number] = checkpoint.hash
            self._mark(checkpoint)
        else:
            self._find(Fault.FORGED, checkpoint.number)
        self._last, self._previous_hash = checkpoint.number, checkpoint.hash

    def take_unreadable(self, number: int) -> None:
        """A row that is none of ours."""
        self._find(Fault.EDITED, number)
        self._last, self._previous_hash = number, b""

    def take_anchored(self, checkpoint: Checkpoint) -> None:
        if not self._is_signed(checkpoint):
            self._find(Fault.FORGED, checkpoint.number)
            return
        self._mark(checkpoint)
        if checkpoint.number > self._last:
            self._missing.append(checkpoint.number)
        elif self._stored.get(checkpoint.number, checkpoint.hash) != checkpoint.hash:
            self._find(Fault.RESTAMPED, checkpoint.number)

    def finish(self) -> None:
        if self._missing:
            self._find(Fault.TRUNCATED, self._last + 1, max(self._missing))

    def _mark(self, checkpoint: Checkpoint) -> None:
        for head in checkpoint.heads:
            if not head.sequence:
                continue  # before the first entry there is nothing to vouch for
            if self.marks.setdefault(head.stream, {}).setdefault(head.sequence, head.hash) != head.hash:
                # Two signed statements contradict each other: the chain was another one in between.
                self.findings.append(Finding(head.stream, Fault.RESTAMPED, head.sequence))

    def _find(self, fault: Fault, first: int, last: int | None = None) -> None:
        self.findings.append(Finding(CHECKPOINTS, fault, first, last))
