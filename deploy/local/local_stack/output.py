"""What the processes write: to the terminal with a prefix, and to a file each."""

import re
import sys
from collections import deque
from pathlib import Path
from typing import TextIO

FILE_BYTES_MAX = 20_000_000  # then the file becomes `<name>.log.1`: two of each are all a disk has to hold
TAIL_LINES = 200  # a probe reads them ten times a second
SHOWN_LINES = 40  # printed when a process dies at its start: a traceback and what led to it
# Bright enough on black and on white; red is kept for failures.
COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)
RED = 31


class LogFile:
    """Appends lines to one file, and puts it aside when it has grown too large."""

    def __init__(self, path: Path, *, bytes_max: int = FILE_BYTES_MAX) -> None:
        self.path = path
        self._bytes_max = bytes_max
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, line: str) -> None:
        self._file.write(line.encode(errors="replace") + b"\n")
        if self._file.tell() > self._bytes_max:
            self._file.close()
            self.path.replace(self.path.with_suffix(".log.1"))
            self._file = self.path.open("ab", buffering=0)

    def close(self) -> None:
        self._file.close()


class Tail:
    """The last lines of one life of a process, and whether any line of it ever matched."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)

    def add(self, line: str) -> None:
        self._lines.append(line)

    def has(self, pattern: re.Pattern[str]) -> bool:
        return any(pattern.search(line) for line in self._lines)

    def __str__(self) -> str:
        return "\n".join(list(self._lines)[-SHOWN_LINES:])


class Console:
    """Prints the runner's own words, and each process' lines behind its name. Plain where no terminal is."""

    def __init__(self, stream: TextIO | None = None, *, echo: bool = True, silent: bool = False) -> None:
        """With `echo` off only the runner's own words are printed: the files have the rest. `silent` prints nothing."""
        self._stream = stream if stream is not None else sys.stdout
        self._coloured = self._stream.isatty()
        self._echo = echo
        self._silent = silent
        self._width = 0
        self._colours: dict[str, int] = {}

    def register(self, name: str) -> None:
        self._width = max(self._width, len(name))
        self._colours[name] = COLOURS[len(self._colours) % len(COLOURS)]

    def line(self, name: str, line: str) -> None:
        if self._echo:
            prefix = f"{name:<{self._width}} |"
            self._print(f"{self._paint(prefix, self._colours.get(name, COLOURS[0]))} {line}")

    def say(self, text: str) -> None:
        self._print(text)

    def alarm(self, text: str) -> None:
        self._print(self._paint(text, RED))

    def _paint(self, text: str, colour: int) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._coloured else text

    def _print(self, text: str) -> None:
        if not self._silent:
            print(text, file=self._stream, flush=True)  # the one place that speaks to the terminal
