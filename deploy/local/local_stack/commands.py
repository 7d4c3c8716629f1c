"""What can be asked of a platform that runs elsewhere, on the command line. Each returns the exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from local_stack import sessions
from local_stack.data_folder import DataFolder, DataFolderInUse, DataFolderUnusable
from local_stack.settings import StackSettings
from local_stack.status_table import status_lines

POLL_SECONDS = 0.1
STOP_SECONDS = 60.0  # every process has its own, shorter limit; this one is for a runner that hangs
INTERRUPTED = 130  # what shells return for Ctrl-C


def up_detached(settings: StackSettings) -> int:
    """The same in the background; returns when all is ready, or with the reason why not. Ctrl-C until then ends it."""
    folder = DataFolder(settings.data_dir)
    running = folder.runner_pid()
    if running is not None:
        sys.stderr.write(f"{DataFolderInUse(folder.path, running)}\n")
        return 1
    try:
        folder.make()
    except DataFolderUnusable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    log_path = folder.path / "logs" / "runner.log"
    with log_path.open("wb") as log:
        runner = subprocess.Popen(  # ourselves, a list without a shell
            [sys.executable, "-P", "-m", "local_stack", "up", "--quiet"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _tell_until_ready(folder, runner, log_path)
    except KeyboardInterrupt:
        # The terminal's Ctrl-C reached only us: the runner has a session of its own.
        runner.terminate()
        runner.wait(STOP_SECONDS)
        sys.stdout.write("Stopped.\n")
        return INTERRUPTED


def _tell_until_ready(folder: DataFolder, runner: subprocess.Popen[bytes], log_path: Path) -> int:
    shown = 0
    while True:
        text = log_path.read_text(errors="replace")
        sys.stdout.write(text[shown:])
        sys.stdout.flush()
        shown = len(text)
        report = folder.read_report()
        if report is not None and report["runner_pid"] == runner.pid and report["ready_seconds"] is not None:
            return 0
        if runner.poll() is not None:
            return runner.returncode or 1
        time.sleep(POLL_SECONDS)


def down(settings: StackSettings) -> int:
    """Returns when nothing is left of it, whoever started it."""
    folder = DataFolder(settings.data_dir)
    pid = folder.runner_pid()
    if pid is None:
        left = sessions.end_marked(folder.path)
        sys.stdout.write(f"Ended what was left: {', '.join(left)}\n" if left else "Nothing runs here.\n")
        return 0
    os.kill(pid, signal.SIGTERM)
    if not _gone(folder, pid):
        os.kill(pid, signal.SIGTERM)
        if not _gone(folder, pid):
            sys.stderr.write(f"The runner (pid {pid}) does not end.\n")
            return 1
    sys.stdout.write("Stopped.\n")
    return 0


def status(settings: StackSettings) -> int:
    folder = DataFolder(settings.data_dir)
    report = folder.read_report() if folder.runner_pid() is not None else None
    sys.stdout.write("\n".join(status_lines(report)) + "\n")
    return 0


def reset(settings: StackSettings, *, force: bool) -> int:
    """Deletes all data of the platform in the data folder, after asking."""
    folder = DataFolder(settings.data_dir)
    if not force:
        if not sys.stdin.isatty():
            sys.stderr.write("This deletes all data. Say FORCE=1 (or --force) where nobody can be asked.\n")
            return 1
        if input(f"Delete all users, orders, balances and mails in {folder.path}? [y/N] ").strip().lower() != "y":
            return 1
    try:
        folder.delete_data()
    except DataFolderInUse as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"Deleted the data in {folder.path}.\n")
    return 0


def _gone(folder: DataFolder, pid: int) -> bool:
    """The lock is free before the process has quite ended."""
    deadline = time.monotonic() + STOP_SECONDS
    while folder.runner_pid() is not None or sessions.is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
