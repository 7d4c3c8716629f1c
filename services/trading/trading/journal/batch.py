"""One journal batch as it is stored: sealed by a digest that chains it to its predecessor."""

import hashlib
import json
from dataclasses import dataclass

CORE_VERSION = 4  # of the rules that decided the batch; for audit, since folds read events alone
GENESIS_DIGEST = bytes(32)  # the "previous digest" of batch 1
# A user's event is found by `<user id>/<sequence, 12 hex digits>`: exact keys, so that a range of sequences is a list
# of points that any index answers, and no bound has to meet inside one array element.
_SEQUENCE_DIGITS = 12
_write_header = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """What one append writes. `users` names every user event inside (`user_key`); `body` is of `journal.codec`."""

    number: int
    epoch: int  # of the writer's leadership
    writer: str  # unique per process start, so that two writers never seal the same bytes
    time_milliseconds: int
    core_version: int
    users: tuple[str, ...]
    body: bytes
    previous_digest: bytes
    digest: bytes


class BrokenChain(Exception):
    """The journal does not follow from itself: a digest or a number is wrong. Whoever reads must stop."""


def user_key(user_id: str, sequence: int) -> str:
    return f"{user_id}/{sequence:0{_SEQUENCE_DIGITS}x}"


def seal(
    *,
    number: int,
    epoch: int,
    writer: str,
    time_milliseconds: int,
    users: tuple[str, ...],
    body: bytes,
    previous: bytes,
) -> SealedBatch:
    unsealed = SealedBatch(number, epoch, writer, time_milliseconds, CORE_VERSION, users, body, previous, b"")
    return SealedBatch(
        number, epoch, writer, time_milliseconds, CORE_VERSION, users, body, previous, digest_of(unsealed)
    )


def digest_of(batch: SealedBatch) -> bytes:
    """SHA-256 over every stored field but itself."""
    header = _write_header(
        [
            batch.number,
            batch.epoch,
            batch.writer,
            batch.time_milliseconds,
            batch.core_version,
            batch.users,
            batch.previous_digest.hex(),
        ]
    )
    return hashlib.sha256(b"%s\n%s" % (header.encode(), batch.body)).digest()


def check_follows(batch: SealedBatch, *, number: int, digest: bytes) -> None:
    """Raises `BrokenChain` unless `batch` is intact and follows the batch of that number and digest."""
    if batch.number != number + 1 or batch.previous_digest != digest:
        raise BrokenChain(f"batch {batch.number} does not follow batch {number}")
    if digest_of(batch) != batch.digest:
        raise BrokenChain(f"batch {batch.number} is not what was sealed")
