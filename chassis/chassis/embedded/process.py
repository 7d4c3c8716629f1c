"""A child process that cannot outlive us, and the server made of one or more of them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from chassis.embedded.ports import is_free

POLL_SECONDS = 0.05  # between two looks at a server that is starting or stopping
LOG_TAIL_BYTES = 4096  # how much of a dead server's log an error shows


class ServerFailed(RuntimeError):
    """A server ended, or was not ready in time. Carries the end of its log."""

    def __init__(self, *, name: str, problem: str, log_tail: str) -> None:
        super().__init__(f"{name} {problem}; the end of its log:\n{log_tail}")


class PortTaken(RuntimeError):
    """Something else listens where a server of ours should."""

    def __init__(self, *, name: str, port: int) -> None:
        super().__init__(f"{name} cannot start: port {port} is taken")


class ProgramMissing(RuntimeError):
    """A program that has to be installed is not."""

    def __init__(self, *, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed; it comes with the package {package}")


def find_program(program: str, *, package: str, folders: Sequence[Path] = ()) -> str:
    """The absolute path of a program: first in `folders`, then on PATH.

    Raises:
        ProgramMissing: it is nowhere; names the package that brings it.
    """
    for folder in folders:
        if os.access(folder / program, os.X_OK):
            return str(folder / program)
    found = shutil.which(program)
    if found is None:
        raise ProgramMissing(program=program, package=package)
    return found


class ChildProcess:
    """One process in a group of its own, its output in `log_path`.

    `launch` must run in the main thread: the kernel kills the child when the thread that started it ends.
    """

    def __init__(
        self,
        *,
        name: str,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self.command = tuple(command)
        self.environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The code it ended with (negative: the signal); None while it runs or before it was launched."""
        return None if self._process is None else self._process.poll()

    def launch(self) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # the command is ours, a list without a shell
                [*die_with_parent(), *self.command],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, *, timeout_seconds: float = 10.0) -> None:
        """Asks the whole group to end, then makes it. Does nothing when it does not run."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        # The leader is gone; whatever it left in its group goes too.
        self.signal(signal.SIGKILL)
        self._process = None

    def kill(self) -> None:
        """SIGKILL to the whole group, as a power cut would; returns when the process is gone."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):  # the group is gone; macOS says EPERM for a zombie
                return

    def log_tail(self) -> str:
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")


class EmbeddedServer(ABC):
    """A server of our own: start it, use its `url`, stop it. Its data stays in its folder.

    Usable from a pytest fixture (`with`), and from an asyncio runner: `launch()` in the main thread, then
    `await asyncio.to_thread(server.wait_ready)`.
    """

    name: str
    start_timeout_seconds: float = 30.0  # a loaded machine with two cores; all of ours need under 6 s alone

    def __init__(self, *, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder
        self.processes: list[ChildProcess] = []

    @property
    @abstractmethod
    def url(self) -> str:
        """What a client connects to."""

    @abstractmethod
    def build(self) -> list[ChildProcess]:
        """The processes it consists of, in starting order; may write configuration files."""

    @abstractmethod
    def answers(self) -> bool:
        """True when the server answers a real client. Blocks at most about a second; raises nothing."""

    @property
    def running(self) -> bool:
        return bool(self.processes) and all(process.running for process in self.processes)

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Launches the server and returns when it answers.

        Raises:
            PortTaken: another process listens there; it would answer our readiness check in the server's place.
            ServerFailed: it ended or stayed silent; nothing of it is left running.
        """
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        if self.running:
            return
        if not is_free(self.port):
            raise PortTaken(name=self.name, port=self.port)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = self.build()
        for process in self.processes:
            process.launch()

    def wait_ready(self, timeout_seconds: float | None = None) -> None:
        deadline = time.monotonic() + (timeout_seconds or self.start_timeout_seconds)
        while True:
            dead = [process for process in self.processes if not process.running]
            if dead or time.monotonic() > deadline:
                problem = f"ended with code {dead[0].exit_code}" if dead else "was not ready in time"
                log_tail = (dead or self.processes)[-1].log_tail()
                self.stop()
                raise ServerFailed(name=self.name, problem=problem, log_tail=log_tail)
            if self.answers():
                return
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()
        self.processes = []

    def kill(self) -> None:
        """Ends it at once, as a power cut would; `start()` brings it back with its data."""
        for process in reversed(self.processes):
            process.kill()
        self.processes = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def die_with_parent() -> list[str]:
    """Puts PR_SET_PDEATHSIG before a command, so that a killed runner leaves nothing behind.

    A launcher program, since `preexec_fn` may dead-lock beside threads. Only Linux has the signal; elsewhere
    a killed parent leaves its children, and the next start finds their ports taken.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
