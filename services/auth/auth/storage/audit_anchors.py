"""Checkpoints in a file: on another volume than the database, or one that only takes more and forgets nothing."""

import asyncio
import errno
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from auth.domain.audit_checkpoints import Checkpoint, checkpoint_of_text, checkpoint_text
from auth.use_cases.audit_ports import BrokenRecord

LINE_BYTES_MAX = 65_536  # a checkpoint of a hundred streams has 15,000; a longer line is something else

TAIL_BYTES = 4 * LINE_BYTES_MAX  # holds the newest, also where several processes write


class FileAnchors:
    """One line of JSON each. Several processes may have one file: a checkpoint then stands in it more than once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: Checkpoint | None = None

    async def newest(self) -> Checkpoint | None:
        if self._newest is None:
            self._newest = await asyncio.to_thread(self._read_newest)
        return self._newest

    async def append(self, checkpoints: Sequence[Checkpoint]) -> None:
        await asyncio.to_thread(self._write, "".join(checkpoint_text(one) + "\n" for one in checkpoints))
        self._newest = checkpoints[-1]

    def _read_newest(self) -> Checkpoint | None:
        if not self._path.exists():
            return None
        newest = read_anchors(self._path, from_byte=max(0, self._path.stat().st_size - TAIL_BYTES))
        return max(newest, key=lambda checkpoint: checkpoint.number, default=None)

    def _write(self, lines: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        data = lines.encode()
        # Appended in one write, so that two processes do not mix their lines.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            written = os.write(descriptor, data)
            if written < len(data):
                # The volume is full. Half a line would be taken for one that somebody has changed, from then on.
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_anchors(path: Path, *, from_byte: int = 0) -> Iterator[Checkpoint]:
    """The checkpoints in a file of anchors, or of log lines that hold them; other lines of a log are passed over.

    BrokenRecord for a line that is meant to be one and is not; OSError.
    """
    with path.open("rb") as lines:
        number = 0
        if from_byte:
            lines.seek(from_byte)
            lines.readline(LINE_BYTES_MAX)  # the rest of a line
        while line := lines.readline(LINE_BYTES_MAX):
            number += 1
            if b'"checkpoint"' not in line and b'"signature"' not in line:
                continue
            try:
                yield _checkpoint_in(line.decode())
            except ValueError as error:
                raise BrokenRecord(f"{path}, line {number}: no checkpoint") from error


def _checkpoint_in(line: str) -> Checkpoint:
    fields = json.loads(line[line.index("{") :])
    text = fields.get("checkpoint") if isinstance(fields, dict) else None
    return checkpoint_of_text(text if isinstance(text, str) else json.dumps(fields))
