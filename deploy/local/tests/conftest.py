import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from chassis.embedded.ports import free_port_block
from local_stack.nursery.nursery import can_fork
from local_stack.output import Console
from local_stack.process_plan import ProcessPlan
from local_stack.readiness import PortOpen
from local_stack.supervisor import Supervisor

SMALL_SERVER = Path(__file__).with_name("small_server.py")


@dataclass(frozen=True)
class Workshop:
    """Makes plans of small real processes that share a journal, and runs them."""

    folder: Path
    # Whether its processes are forked from a nursery, or each started anew.
    forked: bool = False

    @property
    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return path.read_text().splitlines() if path.exists() else []

    def plan(
        self,
        name: str,
        *options: str,
        needs: set[str] | None = None,
        uses: set[str] | None = None,
        ready_seconds: float = 10.0,
        stop_seconds: float = 5.0,
    ) -> ProcessPlan:
        port = free_port_block()
        arguments = (name, str(port), str(self.folder / "journal"), *options)
        return ProcessPlan(
            name=name,
            argv=(sys.executable, str(SMALL_SERVER), *arguments),
            module=("small_server", *arguments) if self.forked else (),
            readiness=PortOpen(port),
            needs=frozenset(needs or ()),
            uses=frozenset(uses or ()),
            ports=(port,),
            ready_seconds=ready_seconds,
            stop_seconds=stop_seconds,
        )

    @asynccontextmanager
    async def running(self, *plans: ProcessPlan) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(plans, data_dir=self.folder, console=Console(silent=True))
        try:
            await supervisor.start()
            yield supervisor
        finally:
            await supervisor.stop()


@pytest.fixture(params=["started", "forked"])
def workshop(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    forked = request.param == "forked"
    if forked and not can_fork():
        pytest.skip("no process can be forked here")
    # Where the nursery finds the small server.
    monkeypatch.setenv("PYTHONPATH", str(SMALL_SERVER.parent))
    return Workshop(tmp_path.resolve(), forked=forked)


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    def check(pid: int) -> bool:
        status = Path(f"/proc/{pid}/stat")
        return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"

    return check
