"""The whole platform in this process, until it is told to stop."""

import asyncio
import signal
import time
from pathlib import Path

from chassis.embedded.process import ProgramMissing

from local_stack.data_folder import DataFolderInUse, DataFolderUnusable
from local_stack.output import Console
from local_stack.platform_plan import WEB_ROOT
from local_stack.ports import PortsTaken
from local_stack.process_plan import PlanInvalid
from local_stack.settings import StackSettings
from local_stack.stack import Stack
from local_stack.status_table import memory_bytes
from local_stack.supervised_process import StartFailed

# What a person can mend: said in its own words, without a traceback.
EXPECTED = (DataFolderInUse, DataFolderUnusable, PortsTaken, StartFailed, ProgramMissing, PlanInvalid)


def up(settings: StackSettings, *, echo: bool) -> int:
    """Everything, in the foreground, until SIGINT, SIGTERM or SIGHUP. A second signal kills."""
    console = Console(echo=echo)
    return asyncio.run(
        _run(Stack(settings, console=console, on_ready=lambda stack: console.say(_welcome(stack))), console)
    )


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


def _welcome(stack: Stack) -> str:
    url = stack.plan.gateway_url
    processes = stack.supervisor.processes.values()
    sessions_led = [stack.supervisor.nursery_pid, *(process.pid for process in processes)]
    megabytes = sum(memory_bytes(pid) for pid in sessions_led if pid is not None) / 1_000_000
    web_app = f"  Web app     {url}\n" if (WEB_ROOT / "index.html").is_file() else ""
    return f"""
CryptoVault is ready after {stack.ready_seconds:.1f} s ({len(processes)} processes, {megabytes:.0f} MB).

{web_app}  API         {url}/api/v1
  Reference   {url}/docs
  Mailbox     {url}/dev/mailbox
  Logs        {_short(stack.folder.path / "logs")}

Stop with Ctrl-C here, or `make stop` anywhere.
"""


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
