"""All processes of one platform: started in order of need and in parallel where they need nothing of each other."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from local_stack import sessions
from local_stack.nursery.nursery import Nursery, can_fork
from local_stack.output import Console
from local_stack.ports import require_free
from local_stack.process_plan import ProcessPlan, in_starting_order, nothing
from local_stack.supervised_process import StartFailed, SupervisedProcess


class Supervisor:
    """`await start()` returns when all serve; `await stop()` when nothing is left."""

    def __init__(
        self,
        plans: Iterable[ProcessPlan],
        *,
        data_dir: Path,
        console: Console,
        libraries: Sequence[str] = (),
        changed: Callable[[], object] = nothing,
    ) -> None:
        """`libraries` are those that the plans' modules load: once for all, where processes can be forked."""
        self._data_dir = data_dir
        ordered = in_starting_order(plans)
        self._nursery: Nursery | None = None
        if can_fork() and any(plan.module for plan in ordered):
            self._nursery = Nursery(libraries, log_path=data_dir / "logs" / "nursery.log", mark=str(data_dir))
        self.processes = {
            plan.name: SupervisedProcess(
                plan, data_dir=data_dir, console=console, nursery=self._nursery, changed=changed
            )
            for plan in ordered
        }

    @property
    def nursery_pid(self) -> int | None:
        """Of the process that the others were forked from, where there is one."""
        return None if self._nursery is None else self._nursery.pid

    def require_free_ports(self, *, port_base: int) -> None:
        """Before anything starts: half a platform beside somebody's server helps nobody. Raises PortsTaken."""
        taken = [port for process in self.processes.values() for port in process.plan.ports]
        require_free(taken, port_base=port_base)

    async def start(self) -> None:
        """Raises StartFailed for the first that does not come up; whatever runs then runs on until `stop`."""
        if self._nursery is not None:
            # It loads while the servers start that everybody waits for.
            self._nursery.open()
        try:
            async with asyncio.TaskGroup() as group:
                for process in self.processes.values():
                    group.create_task(self._start_after_needs(process))
        except* StartFailed as failures:
            failure = failures.exceptions[0]
        else:
            return
        raise failure

    async def _start_after_needs(self, process: SupervisedProcess) -> None:
        for need in process.plan.needs:
            await self._ready(need)
        await process.start()

    async def _ready(self, name: str) -> None:
        await self.processes[name].wait_ready()

    async def stop(self) -> None:
        """Leaf first: whoever needs or uses another stops before it. Then whatever escaped is ended too."""
        stopped = {name: asyncio.Event() for name in self.processes}

        async def stop_after_users(process: SupervisedProcess) -> None:
            for other in self.processes.values():
                if process.plan.name in other.plan.needs | other.plan.uses:
                    await stopped[other.plan.name].wait()
            try:
                await process.stop()
            finally:
                stopped[process.plan.name].set()

        async with asyncio.TaskGroup() as group:
            for process in self.processes.values():
                group.create_task(stop_after_users(process))
        if self._nursery is not None:
            self._nursery.close()
        sessions.end_marked(self._data_dir)

    def kill_all(self) -> None:
        """Everything at once, without asking."""
        for process in self.processes.values():
            if process.pid is not None:
                sessions.end(process.pid)
