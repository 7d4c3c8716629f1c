"""The folder that holds everything of one platform: who runs in it, what is written in it, and how it is emptied."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

# What a platform makes, and so what `reset` may delete. The folder may hold other things: tools, results of the bench.
OWN_FOLDERS = ("mongo", "journal", "redis", "rabbitmq", "secrets", "logs")
OWN_FILES = ("mailbox.jsonl", "audit-anchors.jsonl", "stack.json", "beat-schedule*")


class ProcessReport(TypedDict):
    name: str
    state: str
    pid: int | None
    port: int | None
    restarts: int


class StackReport(TypedDict):
    """What the runner last said of itself. `ready_seconds` is None until all serve."""

    runner_pid: int
    port_base: int
    profile: str
    gateway_url: str
    ready_seconds: float | None
    nursery_pid: int | None
    processes: list[ProcessReport]


class DataFolderInUse(Exception):
    """Another runner works in this folder: two writers would destroy each other's data."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        self.pid = pid
        super().__init__(
            f"A platform already runs in {folder} (runner's pid: {pid or 'unknown'}).\n"
            "`make stop` stops it; `make status` shows it. A second copy needs another folder and other ports:\n"
            "  CRYPTOVAULT_DATA_DIR=.local/second CRYPTOVAULT_PORT_BASE=19000 make run"
        )


class DataFolderUnusable(Exception):
    """The system lets nothing be written there."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(f"{folder} cannot be written ({error.strerror}). CRYPTOVAULT_DATA_DIR names another folder.")


class DataFolder:
    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self._lock_path = self.path / "stack.lock"
        self._report_path = self.path / "stack.json"

    def make(self) -> None:
        """Makes what is missing of the folder. Raises DataFolderUnusable."""
        try:
            (self.path / "logs").mkdir(parents=True, exist_ok=True)
            self._lock_path.open("a").close()
        except OSError as error:
            raise DataFolderUnusable(self.path, error) from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """While inside, nobody else may run here. The kernel lets go when the holder dies.

        Raises:
            DataFolderInUse, DataFolderUnusable.
        """
        self.make()
        with self._lock_path.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataFolderInUse(self.path, self._holder()) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def runner_pid(self) -> int | None:
        """The living runner's, None where none runs."""
        if not self._lock_path.exists():
            return None
        with self._lock_path.open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._holder()
        return None

    def write_report(self, report: StackReport) -> None:
        unfinished = self._report_path.with_suffix(".new")
        unfinished.write_text(json.dumps(report, indent=1))
        unfinished.replace(self._report_path)

    def read_report(self) -> StackReport | None:
        if not self._report_path.exists():
            return None
        report: StackReport = json.loads(self._report_path.read_text())
        return report

    def forget_report(self) -> None:
        self._report_path.unlink(missing_ok=True)

    def delete_data(self) -> None:
        """Everything a platform wrote here, and nothing else. Raises DataFolderInUse while one runs."""
        with self.held():
            for name in OWN_FOLDERS:
                shutil.rmtree(self.path / name, ignore_errors=True)
            for pattern in OWN_FILES:
                for path in self.path.glob(pattern):
                    path.unlink()

    def _holder(self) -> int | None:
        text = self._lock_path.read_text().strip()
        return int(text) if text.isdigit() else None
