"""One process of the platform: spawned, watched, restarted with back-off, stopped with all it started."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import STDOUT, Process
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from chassis.embedded.process import die_with_parent
from chassis.settings import EXIT_BAD_SETTINGS

from local_stack import sessions
from local_stack.backoff import Backoff
from local_stack.nursery.nursery import ForkedProcess, Nursery
from local_stack.output import Console, LogFile, Tail
from local_stack.process_plan import ProcessPlan, nothing

PROBE_INTERVAL_SECONDS = 0.1
START_TRIES = 3  # a process that never served is broken; one that did serve is restarted for ever
READ_BYTES = 65_536
PIPE_DRAIN_SECONDS = 2.0
LINE_BYTES_MAX = 65_536  # a longer line is cut into pieces: nothing a process prints may fill our memory


class State(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class StartFailed(Exception):
    """A process did not come up. Carries the end of its output."""

    def __init__(self, name: str, problem: str, output: str) -> None:
        self.name = name
        super().__init__(f"{name} {problem}. The end of its output:\n{output or '(nothing)'}")


class SupervisedProcess:
    """Use `start`, `stop`, `kill`; read `state`, `pid`, `restarts`."""

    def __init__(
        self,
        plan: ProcessPlan,
        *,
        data_dir: Path,
        console: Console,
        nursery: Nursery | None = None,
        backoff: Backoff | None = None,
        changed: Callable[[], object] = nothing,
    ) -> None:
        """Without a nursery every process is started anew."""
        self.plan = plan
        self.state = State.WAITING
        self.restarts = 0
        self.log_path = data_dir / "logs" / f"{plan.name}.log"
        self._data_dir = data_dir
        self._console = console
        self._nursery = nursery
        self._backoff = backoff or Backoff()
        self._changed = changed
        self._log: LogFile | None = None
        self._tail = Tail()
        self._process: Process | ForkedProcess | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()  # ready or failed: whoever waits for the start may go on
        self._problem = ""
        self._served = False
        self._hung = False
        self._stopping = False
        self._next_life_environment: Mapping[str, str] = {}
        console.register(plan.name)

    @property
    def pid(self) -> int | None:
        """Of the living process, None between two lives."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    async def start(self, *, environment: Mapping[str, str] | None = None) -> None:
        """Returns when the process serves. `environment` holds for the first life only. Raises StartFailed."""
        if self._keeper is not None:
            return await self.wait_ready()
        self._next_life_environment = environment or {}
        self._stopping = self._served = False
        self._settled.clear()
        self._log = LogFile(self.log_path)
        self._keeper = asyncio.create_task(self._keep_alive(), name=f"keep {self.plan.name}")
        return await self.wait_ready()

    async def wait_ready(self) -> None:
        """Until the present or next life serves. Raises StartFailed when it was given up."""
        await self._settled.wait()
        if self.state is State.FAILED:
            raise StartFailed(self.plan.name, self._problem, str(self._tail))

    async def stop(self) -> None:
        """SIGTERM, time for a graceful end, then SIGKILL; nothing it started is left. Not restarted."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        self._stopping = True
        self._set(State.STOPPING)
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Only the leader: a Celery worker ends its own children when their tasks are done.
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.plan.stop_seconds):
                    await process.wait()
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await self._end_life()
        if self._log is not None:
            self._log.close()
        self._settled.clear()
        self._set(State.STOPPED)

    async def kill(self) -> None:
        """SIGKILL to it and all it started; returns when they are gone. The keeper then starts a new life."""
        process = self._process
        if process is not None and process.returncode is None:
            self._settled.clear()
            self._set(State.RESTARTING)
            sessions.end(process.pid)
            await process.wait()

    def signal(self, number: signal.Signals) -> None:
        """To it and all it started."""
        if self.pid is not None:
            sessions.send(self.pid, number)

    def members(self) -> tuple[int, ...]:
        """The process ids of it and all it started."""
        return () if self.pid is None else sessions.members(self.pid)

    async def _keep_alive(self) -> None:
        lives = 0
        while True:
            born = time.monotonic()
            problem = await self._live()
            if self._stopping:
                return
            lives += 1
            lived_seconds = time.monotonic() - born
            self._settled.clear()
            if not self._served and (lives == START_TRIES or self._is_hopeless()):
                self._give_up(f"{problem} without ever having served")
                return
            delay = self._backoff.after_death(lived_seconds=lived_seconds)
            self.restarts += 1
            self._set(State.RESTARTING)
            self._console.alarm(f"{self.plan.name} {problem}; it starts again in {delay:.1f} s")
            await asyncio.sleep(delay)

    def _is_hopeless(self) -> bool:
        refused_settings = self._process is not None and self._process.returncode == EXIT_BAD_SETTINGS
        return self._hung or refused_settings

    def _give_up(self, problem: str) -> None:
        self._problem = problem
        self._set(State.FAILED)
        self._settled.set()

    async def _live(self) -> str:
        """One life, from spawn to death; says how it ended."""
        self._set(State.STARTING)
        self._tail = Tail()
        self._hung = False
        # A pipe of our own: asyncio's would keep `wait` waiting for whoever inherited it and left the session.
        read_end, write_end = os.pipe()
        reading = asyncio.create_task(self._read_output(read_end))
        try:
            process = await self._spawn(output=write_end)
        except OSError as error:
            self._tail.add(str(error))
            return "could not be started"
        finally:
            os.close(write_end)  # the child has it now; without a child the reader meets the end at once
        probing = asyncio.create_task(self._probe_until_ready())
        death = asyncio.create_task(process.wait())
        try:
            await asyncio.wait({probing, death}, return_when=asyncio.FIRST_COMPLETED)
            if probing.done() and not probing.result():
                self._hung = True
                return f"was not ready within {self.plan.ready_seconds:.0f} s"
            await death
        finally:
            probing.cancel()
            await self._end_life()
            death.cancel()
            # What is still in the pipe; bounded, for one who left the session may hold the other end.
            await asyncio.wait({reading}, timeout=PIPE_DRAIN_SECONDS)
            reading.cancel()
            await asyncio.gather(reading, probing, death, return_exceptions=True)
        return _how_it_ended(process.returncode)

    async def _spawn(self, *, output: int) -> Process | ForkedProcess:
        self.plan.prepare()
        environment = {
            **os.environ,
            **self.plan.environment,
            **self._next_life_environment,
            sessions.MARK: str(self._data_dir),
        }
        self._next_life_environment = {}
        if self._nursery is not None and self.plan.module:
            self._process = await self._nursery.spawn(
                self.plan.module, environment=environment, folder=self._data_dir, output=output
            )
        else:
            self._process = await self._exec(environment, output=output)
        self._changed()
        return self._process

    async def _exec(self, environment: Mapping[str, str], *, output: int) -> Process:
        return await asyncio.create_subprocess_exec(
            *die_with_parent(),
            *self.plan.argv,
            env=environment,
            cwd=self._data_dir,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=STDOUT,
            # A session of its own: Ctrl-C reaches the runner alone, which then stops all in order.
            start_new_session=True,
        )

    async def _probe_until_ready(self) -> bool:
        born = time.monotonic()
        try:
            async with asyncio.timeout(self.plan.ready_seconds):
                while not await self.plan.readiness(self._tail):  # noqa: ASYNC110  # another process sets no event
                    await asyncio.sleep(PROBE_INTERVAL_SECONDS)
        except TimeoutError:
            return False
        if not self._stopping:
            self._served = True
            self._set(State.READY)
            self._console.say(f"{self.plan.name} is ready ({time.monotonic() - born:.1f} s)")
            self._settled.set()
            if self.plan.niceness and self.pid is not None:
                # Not before: a platform that starts would wait for those who stand back longest.
                await sessions.stand_back(self.pid, self.plan.niceness, interrupts=self.plan.interrupts)
        return True

    async def _read_output(self, read_end: int) -> None:
        stream = asyncio.StreamReader()
        transport, _protocol = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(read_end, "rb", buffering=0)
        )
        rest = b""
        try:
            while chunk := await stream.read(READ_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > LINE_BYTES_MAX:
                    lines.append(rest)
                    rest = b""
                for line in lines:
                    self._write(line)
            if rest:
                self._write(rest)
        finally:
            transport.close()

    def _write(self, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip("\r")
        self._tail.add(line)
        self._console.line(self.plan.name, line)
        if self._log is not None:
            self._log.write(line)

    async def _end_life(self) -> None:
        if self._process is not None:
            # Also after a death by itself: what it left behind would hold its ports.
            sessions.end(self._process.pid)
            await self._process.wait()

    def _set(self, state: State) -> None:
        self.state = state
        self._changed()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
