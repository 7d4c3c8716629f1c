"""One platform in one data folder: its plan, its supervisor, and its report for whoever asks."""

import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace

from local_stack import sessions
from local_stack.data_folder import DataFolder, ProcessReport, StackReport
from local_stack.keys import load_keys
from local_stack.output import Console
from local_stack.platform_plan import LIBRARIES, PlatformPlan
from local_stack.ports import Ports
from local_stack.process_plan import ProcessPlan, with_needs
from local_stack.settings import StackSettings
from local_stack.supervisor import Supervisor


class Stack:
    """`await start()` returns when all serve; `await stop()` when nothing is left. Once each."""

    def __init__(
        self,
        settings: StackSettings,
        *,
        console: Console,
        environment: Mapping[str, Mapping[str, str]] | None = None,
        only: Collection[str] | None = None,
        on_ready: Callable[["Stack"], object] | None = None,
    ) -> None:
        """`on_ready` is told when all serve, before the report says so: who waits for the report misses nothing.

        `environment` adds variables per process name; `only` starts the named processes and what they need.
        """
        self.settings = settings
        self.ports = Ports(settings.port_base)
        self.folder = DataFolder(settings.data_dir)
        self.ready_seconds: float | None = None
        self._console = console
        self._environment = environment or {}
        self._only = only
        self._on_ready = on_ready
        self._held = ExitStack()
        self._plan: PlatformPlan | None = None
        self._supervisor: Supervisor | None = None

    @property
    def plan(self) -> PlatformPlan:
        """Addresses and URLs. There once the start has begun."""
        if self._plan is None:
            raise NotStarted
        return self._plan

    @property
    def supervisor(self) -> Supervisor:
        if self._supervisor is None:
            raise NotStarted
        return self._supervisor

    async def start(self) -> None:
        """Raises DataFolderInUse, PortsTaken, StartFailed, or ProgramMissing for a server that is not installed."""
        begun = time.monotonic()
        self._held.enter_context(self.folder.held())
        left = sessions.end_marked(self.folder.path)
        if left:
            self._console.alarm(f"Ended what a killed run had left: {', '.join(left)}")
        # Not before the folder is ours: planning writes the servers' configuration into it.
        self._plan = PlatformPlan(
            data_dir=self.folder.path,
            ports=self.ports,
            profile=self.settings.profile,
            log_level=self.settings.log_level,
            keys=load_keys(self.folder.path / "secrets"),
            trading_replicas=self.settings.trading_replicas,
        )
        self._supervisor = Supervisor(
            self._chosen(self._plan.build()),
            data_dir=self.folder.path,
            console=self._console,
            # A part of the platform would use few of them.
            libraries=LIBRARIES if self._only is None else (),
            changed=self._report,
        )
        self._supervisor.require_free_ports(port_base=self.ports.base)
        await self._supervisor.start()
        self.ready_seconds = time.monotonic() - begun
        if self._on_ready is not None:
            self._on_ready(self)
        self._report()

    async def stop(self) -> None:
        """Also after a start that failed half-way."""
        with self._held:
            if self._supervisor is not None:
                await self._supervisor.stop()
                self.folder.forget_report()

    def kill_all(self) -> None:
        if self._supervisor is not None:
            self._supervisor.kill_all()

    def _chosen(self, plans: list[ProcessPlan]) -> list[ProcessPlan]:
        chosen = plans if self._only is None else with_needs(plans, self._only)
        return [
            replace(plan, environment={**plan.environment, **self._environment.get(plan.name, {})}) for plan in chosen
        ]

    def _report(self) -> None:
        processes = [
            ProcessReport(
                name=name,
                state=process.state,
                pid=process.pid,
                port=min(process.plan.ports, default=None),
                restarts=process.restarts,
            )
            for name, process in self.supervisor.processes.items()
        ]
        self.folder.write_report(
            StackReport(
                runner_pid=os.getpid(),
                port_base=self.ports.base,
                profile=self.settings.profile,
                gateway_url=self.plan.gateway_url,
                ready_seconds=self.ready_seconds,
                nursery_pid=self.supervisor.nursery_pid,
                processes=processes,
            )
        )


class NotStarted(RuntimeError):
    """Asked for something that is known only after `start`."""
