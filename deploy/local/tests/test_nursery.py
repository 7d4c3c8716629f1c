import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chassis.testing import eventually
from local_stack.nursery.nursery import STARTING_ENVIRONMENT, Nursery, can_fork
from local_stack.output import Console
from local_stack.platform_plan import LIBRARIES
from local_stack.settings import REPOSITORY
from local_stack.supervisor import Supervisor

pytestmark = pytest.mark.skipif(not can_fork(), reason="no process can be forked here")

# A program that says what it finds and then waits.
CURIOUS = """
import json, os, sys, time
print(json.dumps({
    "arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd(), "session": os.getsid(0),
    "libraries": [name for name in ("celery", "grpc") if name in sys.modules],
    "ours": [name for name in sys.modules if name.partition(".")[0] in ("auth", "chassis", "gateway", "trading")],
}))
time.sleep(600)
"""

# gRPC names what it does not know when it is first used.
USING_GRPC = "import grpc; grpc.insecure_channel('127.0.0.1:1').close()"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that a nursery finds."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "curious.py").write_text(CURIOUS)
    (tmp_path / "leaving.py").write_text("import sys; sys.exit(78)")
    return tmp_path


async def spawned(nursery: Nursery, folder: Path, *module: str, **environment: str) -> tuple[Any, Path]:
    output = folder / f"{'-'.join(module)}.log"
    with output.open("wb") as file:
        process = await nursery.spawn(module, environment=environment, folder=folder, output=file.fileno())
    return process, output


def shown_arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")


def threads(pid: int | None) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


async def test_a_forked_process_is_what_a_started_one_would_be(programs: Path) -> None:
    nursery = Nursery(LIBRARIES, log_path=programs / "nursery.log", mark="here")
    try:
        first, _ = await spawned(nursery, programs, "curious", SECRET="of the first")
        process, output = await spawned(nursery, programs, "curious", "one", "two", GREETING="flowers")
        said = json.loads(await eventually(output.read_text))
        assert said["arguments"] == ["one", "two"]
        assert {name for name in said["environment"] if not name.startswith("LC_")} == {"GREETING"}
        assert said["folder"] == str(programs)
        assert said["session"] == process.pid != first.pid
        assert shown_arguments(process.pid) == [sys.executable, "-P", "-m", "curious", "one", "two"]
        # Loaded for all; but nothing of ours, whose metrics would show in every process.
        assert said["libraries"] == ["celery", "grpc"]
        assert said["ours"] == []
        # A thread that an import had started would be missing in every child.
        assert threads(nursery.pid) == 1
    finally:
        nursery.close()


async def test_the_exit_code_is_told_and_a_signal_too(programs: Path) -> None:
    nursery = Nursery((), log_path=programs / "nursery.log", mark="here")
    try:
        leaving, _ = await spawned(nursery, programs, "leaving")
        assert await leaving.wait() == 78
        with pytest.raises(ProcessLookupError):
            leaving.send_signal(signal.SIGTERM)
        killed, _ = await spawned(nursery, programs, "curious")
        killed.send_signal(signal.SIGKILL)
        assert await killed.wait() == -signal.SIGKILL
    finally:
        nursery.close()


async def test_its_children_die_with_it(programs: Path, is_alive: Callable[[int], bool]) -> None:
    nursery = Nursery((), log_path=programs / "nursery.log", mark="here")
    process, _ = await spawned(nursery, programs, "curious")
    nursery.close()
    assert await process.wait() == -signal.SIGKILL
    await eventually(lambda: not is_alive(process.pid))


async def test_whoever_is_told_to_stop_before_the_birth_leaves_nobody(
    programs: Path, is_alive: Callable[[int], bool]
) -> None:
    nursery = Nursery((), log_path=programs / "nursery.log", mark="here")
    try:
        given_up = asyncio.create_task(spawned(nursery, programs, "curious"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await spawned(nursery, programs, "curious")
        await eventually(lambda: len(nursery._living) == 1)
    finally:
        nursery.close()


@pytest.mark.parametrize("workshop", ["forked"], indirect=True)
async def test_a_nursery_that_dies_is_opened_again_and_its_children_with_it(workshop: Any) -> None:
    supervisor = Supervisor([workshop.plan("phoenix")], data_dir=workshop.folder, console=Console(silent=True))
    try:
        await supervisor.start()
        phoenix, first = supervisor.processes["phoenix"], supervisor.nursery_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: phoenix.restarts == 1 and phoenix.state == "ready")
        assert supervisor.nursery_pid not in {None, first}
    finally:
        await supervisor.stop()


async def test_libraries_that_cannot_be_loaded_fail_the_birth_and_say_where_to_look(programs: Path) -> None:
    (programs / "broken.py").write_text("raise SystemExit(3)")
    nursery = Nursery(["broken"], log_path=programs / "nursery.log", mark="here")
    with pytest.raises(OSError, match=r"nursery\.log"):
        await spawned(nursery, programs, "curious")
    assert nursery.pid is None


def test_grpc_knows_what_it_is_told_at_the_start() -> None:
    def complaints(experiments: str) -> str:
        environment = {**os.environ, **STARTING_ENVIRONMENT, "GRPC_EXPERIMENTS": experiments}
        command = [sys.executable, "-P", "-c", USING_GRPC]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr

    assert "Unknown experiment" in complaints("-no_such_experiment")
    assert complaints(STARTING_ENVIRONMENT["GRPC_EXPERIMENTS"]) == ""


def test_images_start_with_the_same_environment() -> None:
    image = (REPOSITORY / "deploy" / "docker" / "Dockerfile").read_text()
    for name, value in STARTING_ENVIRONMENT.items():
        assert f" {name}={value}" in image
