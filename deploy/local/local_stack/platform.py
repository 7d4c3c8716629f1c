"""The whole platform as one object, for tests that cross services and for the bench."""

import asyncio
import os
import signal
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, Self

from chassis.clock import SystemClock
from chassis.embedded.ports import free_port_block
from chassis.trust.call_table import CallTable
from chassis.trust.service_identity import ServiceIdentity
from chassis.trust.service_keys import ServiceKeys, read_private_keys, read_public_keys

from local_stack.output import Console
from local_stack.ports import PortsTaken
from local_stack.settings import PORT_BLOCK, StackSettings
from local_stack.stack import Stack
from local_stack.supervised_process import State, SupervisedProcess


class Platform:
    """`async with Platform(data_dir=folder) as platform:` starts everything and waits until it is ready."""

    def __init__(
        self,
        *,
        data_dir: Path,
        port_base: int | None = None,
        profile: Literal["local", "bench", "test"] = "test",
        environment: Mapping[str, Mapping[str, str]] | None = None,
        only: Collection[str] | None = None,
        trading_replicas: int = 1,
        ready_seconds: float = 120.0,
    ) -> None:
        """A free block of ports is taken where `port_base` is None; `environment` adds variables per process name;
        `only` starts the named processes and what they need.
        """

        def stack_at(base: int) -> Stack:
            settings = StackSettings(
                port_base=base, data_dir=data_dir, profile=profile, trading_replicas=trading_replicas
            )
            # Output goes to the files below `logs`; the runner's own words are for people.
            return Stack(settings, console=Console(silent=True), environment=environment, only=only)

        self._stack_at = stack_at
        self._takes_any_ports = port_base is None
        self._stack = stack_at(free_port_block(PORT_BLOCK) if port_base is None else port_base)
        self._ready_seconds = ready_seconds

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._ready_seconds):
                await self._start()
        except BaseException:
            await self._stack.stop()
            raise
        return self

    async def _start(self) -> None:
        while True:
            try:
                return await self._stack.start()
            except PortsTaken:
                # Another has taken one of them since they were found free.
                if not self._takes_any_ports:
                    raise
                await self._stack.stop()
                self._stack = self._stack_at(free_port_block(PORT_BLOCK))

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.stop()

    @property
    def gateway_url(self) -> str:
        """`http://127.0.0.1:18000`, no trailing slash."""
        return self._stack.plan.gateway_url

    @property
    def websocket_url(self) -> str:
        """`ws://127.0.0.1:18000/ws`."""
        return f"{self.gateway_url.replace('http', 'ws', 1)}/ws"

    @property
    def mailbox_url(self) -> str:
        return self._stack.plan.mailbox_url

    @property
    def mongo_url(self) -> str:
        return self._stack.plan.mongo.url

    @property
    def journal_url(self) -> str:
        """The MongoDB-wire server that holds the exchange's journal alone."""
        return self._stack.plan.journal.url

    @property
    def redis_url(self) -> str:
        return self._stack.plan.redis.url

    @property
    def amqp_url(self) -> str:
        return self._stack.plan.rabbitmq.url

    @property
    def names(self) -> tuple[str, ...]:
        """Of all processes, in starting order."""
        return tuple(self._stack.supervisor.processes)

    def address(self, name: str) -> str:
        """`127.0.0.1:18011`, where the named service listens for gRPC."""
        return self._stack.ports.address(name)

    def identity(self, service: str) -> ServiceIdentity:
        """To call others as `service` does."""
        told = self._stack.plan.trust_settings(service)
        keys = ServiceKeys(
            own=read_private_keys(told["SERVICE_KEY"]), public=read_public_keys(told["SERVICE_PUBLIC_KEYS"])
        )
        return ServiceIdentity(service, keys=keys, table=CallTable.load(), clock=SystemClock())

    def metrics_url(self, name: str) -> str:
        """`http://127.0.0.1:18111/metrics`."""
        return f"http://127.0.0.1:{self._stack.ports.metrics(name)}/metrics"

    def environment(self, name: str) -> dict[str, str]:
        """What the named process is told, by variable: its settings, and where the others are."""
        return dict(self._process(name).plan.environment)

    def log_path(self, name: str) -> Path:
        return self._process(name).log_path

    def state(self, name: str) -> State:
        return self._process(name).state

    def pid(self, name: str) -> int | None:
        """The process now living under this name."""
        return self._process(name).pid

    def pids(self, name: str) -> tuple[int, ...]:
        """It and its descendants (CPU and memory are their sum)."""
        return self._process(name).members()

    @property
    def nursery_pid(self) -> int | None:
        """Of the process that the Python ones were forked from, where there is one."""
        return self._stack.supervisor.nursery_pid

    def restarts(self, name: str) -> int:
        return self._process(name).restarts

    async def kill(self, name: str) -> None:
        """SIGKILL to it and its descendants; returns when they are gone. It is then restarted, with back-off."""
        await self._process(name).kill()

    async def stop(self, name: str) -> None:
        """Stop it gracefully, and leave it stopped."""
        await self._process(name).stop()

    async def start(self, name: str, *, environment: Mapping[str, str] | None = None) -> None:
        """Start what was stopped; returns when ready. `environment` (a crash point, say) holds for this one life,
        not after a crash.
        """
        await self._process(name).start(environment=environment)

    async def restart(self, name: str, *, environment: Mapping[str, str] | None = None) -> None:
        """Stop and start, as above."""
        await self.stop(name)
        await self.start(name, environment=environment)

    async def operate(self, *words: str) -> None:
        """What an operator does by hand: `operate("grant-role", email, "admin")`. Raises RuntimeError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "auth.operator", *words,
            env={**os.environ, **self._stack.plan.operator_environment()},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(output.decode())

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send SIGSTOP, SIGCONT, ... to the process and its descendants."""
        self._process(name).signal(number)

    async def wait_ready(self, name: str | None = None, *, timeout_seconds: float = 60.0) -> None:
        """Until the named process (or all) is up and says that it serves. Raises TimeoutError."""
        async with asyncio.timeout(timeout_seconds):
            for each in self.names if name is None else (name,):
                await self._process(each).wait_ready()

    def _process(self, name: str) -> SupervisedProcess:
        return self._stack.supervisor.processes[name]
