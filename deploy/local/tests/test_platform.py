import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from chassis.embedded.ports import free_port_block
from local_stack.data_folder import DataFolder, DataFolderInUse
from local_stack.output import Console
from local_stack.platform import Platform
from local_stack.ports import Ports, PortsTaken
from local_stack.settings import PORT_BLOCK, StackSettings
from local_stack.stack import Stack
from local_stack.supervised_process import State


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    async with Platform(data_dir=tmp_path, only=["mailbox", "redis"]) as platform:
        yield platform


async def test_a_chosen_part_of_the_platform_serves_at_the_named_places(platform: Platform) -> None:
    assert set(platform.names) == {"mailbox", "redis"}
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{platform.mailbox_url}/messages")).json() == []


async def test_what_was_killed_is_back_and_its_restart_counted(platform: Platform) -> None:
    pid = platform.pid("mailbox")
    await platform.kill("mailbox")
    await platform.wait_ready("mailbox", timeout_seconds=30)
    assert platform.state("mailbox") is State.READY
    assert platform.pid("mailbox") != pid
    assert platform.restarts("mailbox") == 1
    assert platform.restarts("redis") == 0


async def test_who_is_told_of_the_start_hears_it_before_the_report_says_so(tmp_path: Path) -> None:
    reported: list[float | None] = []

    def on_ready(stack: Stack) -> None:
        report = stack.folder.read_report()
        assert report is not None
        reported.append(report["ready_seconds"])

    settings = StackSettings(port_base=free_port_block(PORT_BLOCK), data_dir=tmp_path, profile="test")
    stack = Stack(settings, console=Console(silent=True), only=["redis"], on_ready=on_ready)
    try:
        await stack.start()
        report = stack.folder.read_report()
        assert report is not None
        assert (reported, report["ready_seconds"]) == ([None], stack.ready_seconds)
    finally:
        await stack.stop()


async def test_two_platforms_in_one_folder_are_refused_and_the_first_lives_on(
    platform: Platform, tmp_path: Path
) -> None:
    with pytest.raises(DataFolderInUse):
        async with Platform(data_dir=tmp_path, only=["redis"]):
            pass
    assert platform.state("redis") is State.READY
    assert DataFolder(tmp_path).runner_pid() == os.getpid()


def test_the_command_says_in_a_word_why_it_does_not_start(platform: Platform, tmp_path: Path) -> None:
    base = free_port_block(PORT_BLOCK)
    environment = {**os.environ, "CRYPTOVAULT_DATA_DIR": str(tmp_path), "CRYPTOVAULT_PORT_BASE": str(base)}
    command = [sys.executable, "-P", "-m", "local_stack"]
    second = subprocess.run([*command, "up"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert second.returncode == 1
    assert "already runs" in second.stdout
    assert "Traceback" not in second.stdout + second.stderr
    status = subprocess.run([*command, "status"], env=environment, capture_output=True, text=True, check=True)
    assert "redis" in status.stdout


def test_ctrl_c_while_a_start_in_the_background_is_waited_for_leaves_nothing_running(tmp_path: Path) -> None:
    base = free_port_block(PORT_BLOCK)
    environment = {**os.environ, "CRYPTOVAULT_DATA_DIR": str(tmp_path), "CRYPTOVAULT_PORT_BASE": str(base)}
    command = [sys.executable, "-P", "-m", "local_stack", "up", "--detach"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as start:
        assert start.stdout is not None
        assert b"is ready" in start.stdout.readline()  # the first server: the others are on their way
        start.send_signal(signal.SIGINT)
        said, _ = start.communicate(timeout=60)
    assert (start.returncode, said.decode().splitlines()[-1]) == (130, "Stopped.")
    assert DataFolder(tmp_path).runner_pid() is None


@pytest.mark.parametrize(
    ("words", "code"), [(("operator", "grant-role", "ada@example.com", "admin"), 1), (("exchange", "verify"), 3)]
)
def test_an_operators_command_without_a_platform_says_so(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    environment = {**os.environ, "CRYPTOVAULT_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "local_stack", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (code, "Nothing runs here.\n")


async def test_the_tools_of_operators_are_told_where_the_data_is_and_their_exit_codes_come_through(
    tmp_path: Path,
) -> None:
    base = free_port_block(PORT_BLOCK)
    environment = _at(tmp_path, base)

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-P", "-m", "local_stack", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stderr

    async with Platform(data_dir=tmp_path, port_base=base, only=["mongo", "journal", "redis"]):
        # Nothing has been written yet: both found where to look.
        code, said = await asyncio.to_thread(run, "exchange", "verify")
        assert code == 2
        assert "has no journal" in said
        assert await asyncio.to_thread(run, "operator", "grant-role", "ada@example.com", "admin") == (
            1, "There is no such user.\n",
        )  # fmt: skip


@pytest.mark.parametrize("words", [("operator", "verify-audit"), ("exchange", "verify")])
async def test_ctrl_c_of_an_operators_tool_is_the_tools(tmp_path: Path, words: tuple[str, ...]) -> None:
    asked = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    base = free_port_block(PORT_BLOCK)
    database = await asyncio.start_server(never_answer, "127.0.0.1", Ports(base)["mongo"])
    async with database, Platform(data_dir=tmp_path, port_base=base, only=["redis"]):
        tool = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "local_stack", *words, env=_at(tmp_path, base),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await asked.wait()
        tool.send_signal(signal.SIGINT)
        assert await tool.communicate() == (b"", b"Broken off.\n")
    assert tool.returncode == 130


def _at(data_dir: Path, port_base: int) -> dict[str, str]:
    return {
        **os.environ,
        "CRYPTOVAULT_DATA_DIR": str(data_dir),
        "CRYPTOVAULT_PORT_BASE": str(port_base),
        "CRYPTOVAULT_PROFILE": "test",
    }


async def test_a_platform_that_may_choose_its_ports_goes_elsewhere_where_one_was_taken_meanwhile(
    tmp_path: Path,
) -> None:
    platform = Platform(data_dir=tmp_path, only=["redis"])
    found_free = platform.address("redis")
    host, _, port = found_free.partition(":")
    with socket.create_server((host, int(port))):
        async with platform:
            assert platform.address("redis") != found_free
            assert platform.state("redis") is State.READY


async def test_a_platform_goes_nowhere_else_than_where_it_was_told_to(tmp_path: Path) -> None:
    platform = Platform(data_dir=tmp_path, port_base=free_port_block(PORT_BLOCK), only=["redis"])
    host, _, port = platform.address("redis").partition(":")
    with socket.create_server((host, int(port))), pytest.raises(PortsTaken):
        async with platform:
            pass
