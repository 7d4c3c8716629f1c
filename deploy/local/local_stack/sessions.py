"""Finding and ending everything that a process of ours has started, also what its parent forgot."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import psutil

MARK = "CRYPTOVAULT_STACK_FOLDER"  # every process of a platform inherits it; its value is the data folder
ROUNDS_MAX = 20  # a process may fork while its session is being ended; each round finds what is new
NICENESS_MAX = 19
AUTOGROUP_TRIES = 50  # fifteen processes that start together, each waiting for its turn
AUTOGROUP_RETRY_SECONDS = 0.1


async def stand_back(session: int, niceness: int, *, interrupts: bool = True) -> None:
    """Lets the session as a whole, and each thread in it, stand back for others. Nobody is raised.

    Where Linux groups processes by session (autogroup, see sched(7)), a process's own niceness counts only within its
    session: a service at 10 would get as much of a busy core as one at 0. Elsewhere the threads' own is what counts.
    Where it must not interrupt others, it waits for whoever runs when it wakes up (SCHED_BATCH there).
    """
    for pid in members(session):
        _lower_threads(pid, niceness, interrupts=interrupts)
    for _ in range(AUTOGROUP_TRIES):
        try:
            _write_group_niceness(session, niceness)
        except BlockingIOError:
            # Who is not root may change one group each 100 ms, and several processes start at once.
            await asyncio.sleep(AUTOGROUP_RETRY_SECONDS)
        except OSError:
            return  # no such grouping here, or the session has ended
        else:
            return


def members(session: int) -> tuple[int, ...]:
    """The living processes of the session that `session` leads or led. Zombies do not count."""
    return tuple(pid for pid in psutil.pids() if _session_of(pid) == session and is_alive(pid))


def send(session: int, number: signal.Signals) -> None:
    """A signal to every process of the session."""
    for pid in members(session):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end(session: int) -> None:
    """SIGKILL to the session until nobody is left."""
    for _ in range(ROUNDS_MAX):
        if not members(session):
            return
        send(session, signal.SIGKILL)


def end_marked(folder: Path) -> list[str]:
    """SIGKILL to every process that was started for this data folder and still lives. Returns their names.

    The last resort: after a runner was killed, and for those who left their session.
    """
    ended: list[str] = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == str(folder):
                ended.append(process.name())
                process.kill()
                process.wait(timeout=5)
        except psutil.Error:
            continue  # it ended by itself, or belongs to another user and so is not ours
    return ended


def _lower_threads(pid: int, niceness: int, *, interrupts: bool) -> None:
    # On Linux a priority belongs to a thread; a thread that starts later takes that of its parent.
    lowered = min(NICENESS_MAX, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
    with contextlib.suppress(OSError):  # it ended meanwhile
        threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()] if sys.platform == "linux" else [pid]
        for thread in threads:
            if os.getpriority(os.PRIO_PROCESS, thread) < lowered:
                os.setpriority(os.PRIO_PROCESS, thread, lowered)
            if sys.platform == "linux" and not interrupts:
                os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))


def _write_group_niceness(session: int, niceness: int) -> None:
    Path(f"/proc/{session}/autogroup").write_text(str(niceness))


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def is_alive(pid: int) -> bool:
    """Zombies do not count."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
