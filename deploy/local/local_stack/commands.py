"""What can be asked of the platform on the command line. Each returns the exit code."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chassis.embedded.process import ProgramMissing

from local_stack import sessions
from local_stack.data_folder import DataFolder, DataFolderInUse
from local_stack.keys import load_keys
from local_stack.output import Console
from local_stack.platform_plan import PlatformPlan
from local_stack.ports import Ports, PortsTaken
from local_stack.process_plan import PlanInvalid
from local_stack.settings import StackSettings
from local_stack.stack import Stack
from local_stack.status_table import memory_bytes, status_lines
from local_stack.supervised_process import StartFailed

POLL_SECONDS = 0.1
STOP_SECONDS = 60.0  # every process has its own, shorter limit; this one is for a runner that hangs

# What a person can mend: said in its own words, without a traceback.
EXPECTED = (DataFolderInUse, PortsTaken, StartFailed, ProgramMissing, PlanInvalid)


def up(settings: StackSettings, *, echo: bool) -> int:
    """Everything, in the foreground, until SIGINT, SIGTERM or SIGHUP. A second signal kills."""
    console = Console(echo=echo)
    return asyncio.run(_run(Stack(settings, console=console), console))


async def _run(stack: Stack, console: Console) -> int:
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            console.alarm("Killing everything.")
            stack.kill_all()
        else:
            console.say("Stopping. Once more kills.")
            stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    starting = asyncio.create_task(stack.start())
    told = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({starting, told}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            console.say(_welcome(stack))
            await told
    except EXPECTED as error:
        console.alarm(str(error))
        return 1
    finally:
        starting.cancel()
        told.cancel()
        await asyncio.gather(starting, told, return_exceptions=True)
        begun = time.monotonic()
        await stack.stop()
        if stopping.is_set():
            console.say(f"Stopped in {time.monotonic() - begun:.1f} s.")
    return 0


def up_detached(settings: StackSettings) -> int:
    """The same in the background; returns when all is ready, or with the reason why not."""
    folder = DataFolder(settings.data_dir)
    running = folder.runner_pid()
    if running is not None:
        sys.stderr.write(f"{DataFolderInUse(folder.path, running)}\n")
        return 1
    log_path = folder.path / "logs" / "runner.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("wb") as log:
        runner = subprocess.Popen(  # ourselves, a list without a shell
            [sys.executable, "-P", "-m", "local_stack", "up", "--quiet"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
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
    if not _gone(folder):
        os.kill(pid, signal.SIGTERM)
        if not _gone(folder):
            sys.stderr.write(f"The runner (pid {pid}) does not end.\n")
            return 1
    sys.stdout.write("Stopped.\n")
    return 0


def status(settings: StackSettings) -> int:
    folder = DataFolder(settings.data_dir)
    report = folder.read_report() if folder.runner_pid() is not None else None
    sys.stdout.write("\n".join(status_lines(report)) + "\n")
    return 0


def operate(settings: StackSettings, arguments: Sequence[str]) -> int:
    """`auth.operator` on the accounts of this copy, which must be running."""
    folder = DataFolder(settings.data_dir)
    if folder.runner_pid() is None:
        sys.stderr.write("Nothing runs here.\n")
        return 1
    plan = PlatformPlan(
        data_dir=folder.path,
        ports=Ports(settings.port_base),
        profile=settings.profile,
        log_level=settings.log_level,
        keys=load_keys(folder.path / "secrets"),
    )
    command = [sys.executable, "-P", "-m", "auth.operator", *arguments]
    environment = {**os.environ, **plan.operator_environment()}
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - a list without a shell


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


def _gone(folder: DataFolder) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while folder.runner_pid() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _welcome(stack: Stack) -> str:
    url = stack.plan.gateway_url
    sessions_led = [process.pid for process in stack.supervisor.processes.values()]
    megabytes = sum(memory_bytes(pid) for pid in sessions_led if pid is not None) / 1_000_000
    return f"""
CryptoVault is ready after {stack.ready_seconds:.1f} s ({len(sessions_led)} processes, {megabytes:.0f} MB).

  API         {url}/api/v1
  Try it      {url}/docs
  Mailbox     {url}/dev/mailbox
  Logs        {_short(stack.folder.path / "logs")}

Stop with Ctrl-C here, or `make stop` anywhere.
"""


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
