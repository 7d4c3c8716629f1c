"""The runner's side of the nursery: processes that are forked instead of started anew."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from chassis.embedded.process import die_with_parent

from local_stack import sessions
from local_stack.nursery.messages import MESSAGE_BYTES_MAX, Birth, Born, Died

_COMMAND = (sys.executable, "-P", "-m", "local_stack.nursery")
_CLOSE_SECONDS = 5.0
STARTING_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    # glibc gives each thread an arena of its own; with a dozen processes that is memory for nothing.
    "MALLOC_ARENA_MAX": "2",
    # gRPC waits for its sockets itself, not through its event engine's threads: decision 0119.
    "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
}


def can_fork() -> bool:
    """Whether this system can tell of the end of a process by descriptor: Linux since 5.3."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


class ForkedProcess:
    """A child of the nursery, with the part of asyncio.subprocess.Process that the runner uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._over = asyncio.Event()

    async def wait(self) -> int | None:
        await self._over.wait()
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Raises ProcessLookupError where it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def ended(self, code: int) -> None:
        self.returncode = code
        self._over.set()


class Nursery:
    """One process that has loaded the libraries; its children live in sessions of their own and die with it.

    Opened by the first `spawn` where not before, and again after its death. `open` must run in the main thread: the
    kernel ends the nursery when the thread that started it ends.
    """

    def __init__(self, libraries: Sequence[str], *, log_path: Path, mark: str) -> None:
        """`mark` goes into its environment, and so into all its children's."""
        self._libraries = libraries
        self._log_path = log_path
        self._mark = mark
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._births: deque[asyncio.Future[ForkedProcess]] = deque()
        self._living: dict[int, ForkedProcess] = {}

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def open(self) -> None:
        """Returns at once; births wait until the libraries are loaded."""
        if self._line is not None:
            return
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.setblocking(False)
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        # What Python and the C library read when they start must be there for the children already now.
        environment = {**os.environ, **STARTING_ENVIRONMENT, sessions.MARK: self._mark}
        with theirs, self._log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # ourselves, a list without a shell
                [*die_with_parent(), *_COMMAND, str(theirs.fileno()), *self._libraries],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        asyncio.get_running_loop().add_reader(self._line, self._hear)

    async def spawn(
        self, module: Sequence[str], *, environment: Mapping[str, str], folder: Path, output: int
    ) -> ForkedProcess:
        """`python -m module ...` in a session of its own, its output to that descriptor. Raises OSError."""
        self.open()
        assert self._line is not None  # noqa: S101 - opened above
        birth = Birth(module=list(module), environment=dict(environment), folder=str(folder))
        born: asyncio.Future[ForkedProcess] = asyncio.get_running_loop().create_future()
        self._births.append(born)
        socket.send_fds(self._line, [json.dumps(birth).encode()], [output])
        return await born

    def close(self) -> None:
        """Ends it, and with it whatever it forked. Does nothing where it is not open."""
        if self._process is not None:
            self._process.kill()
            self._lost()

    def _hear(self) -> None:
        assert self._line is not None  # noqa: S101 - else nobody listens
        try:
            message = self._line.recv(MESSAGE_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lost()
            return
        news = json.loads(message)
        if "born" in news:
            born: Born = news
            self._deliver(ForkedProcess(born["born"]))
        else:
            died: Died = news
            self._living.pop(died["died"]).ended(died["code"])

    def _deliver(self, process: ForkedProcess) -> None:
        self._living[process.pid] = process
        born = self._births.popleft()
        if born.cancelled():
            # Whoever asked was told to stop while it waited.
            process.send_signal(signal.SIGKILL)
        else:
            born.set_result(process)

    def _lost(self) -> None:
        """It has ended, and the kernel ends its children."""
        process, line = self._process, self._line
        self._process = self._line = None
        if line is not None:
            asyncio.get_running_loop().remove_reader(line)
            line.close()
        if process is not None:
            process.kill()
            process.wait(_CLOSE_SECONDS)
        for born in self._births:
            if not born.done():
                born.set_exception(OSError(f"the nursery has ended; {self._log_path} may say why"))
        self._births.clear()
        living, self._living = self._living, {}
        for child in living.values():
            child.ended(-signal.SIGKILL)
