"""The mails, in a file of one JSON object per line: they outlive a restart, and there is a limit to them."""

import json
import os
from collections import deque
from pathlib import Path
from typing import TypedDict

MESSAGES_MAX = 1_000  # the newest are kept; a developer looks at the last few
FILE_LINES_MAX = 4 * MESSAGES_MAX  # then the file is written anew with those kept


class Message(TypedDict):
    """`sent_at` in RFC 3339, UTC, milliseconds. `text` and `html` are None where the mail had no such part."""

    to: str
    subject: str
    text: str | None
    html: str | None
    sent_at: str


class MessageStore:
    def __init__(self, path: Path, *, messages_max: int = MESSAGES_MAX, file_lines_max: int = FILE_LINES_MAX) -> None:
        self._path = path
        self._file_lines_max = file_lines_max
        self._messages: deque[Message] = deque(maxlen=messages_max)
        self._lines = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._load()
        self._rewrite()

    def add(self, messages: list[Message]) -> None:
        """Returns when they are on the disk."""
        self._messages.extend(messages)
        with self._path.open("a") as file:
            file.writelines(json.dumps(message) + "\n" for message in messages)
            file.flush()
            os.fsync(file.fileno())
        self._lines += len(messages)
        if self._lines > self._file_lines_max:
            self._rewrite()

    def newest_first(self) -> list[Message]:
        return list(reversed(self._messages))

    def _load(self) -> None:
        for line in self._path.read_text().splitlines():
            try:
                self._messages.append(json.loads(line))
            except json.JSONDecodeError:
                # Only the last line can be torn, by a crash before its mail was acknowledged: it is sent again.
                break

    def _rewrite(self) -> None:
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text("".join(json.dumps(message) + "\n" for message in self._messages))
        # The mails hold one-time codes.
        unfinished.chmod(0o600)
        unfinished.replace(self._path)
        self._lines = len(self._messages)
