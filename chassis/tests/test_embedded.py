import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from chassis.embedded.ports import HIGHEST_PORT, LOWEST_PORT, free_port_block, is_free
from chassis.embedded.process import PortTaken, ServerFailed
from chassis.embedded.rabbitmq import RabbitServer
from chassis.embedded.redis import RedisServer
from redis import Redis


def test_a_port_block_is_free_and_below_the_ephemeral_range() -> None:
    first = free_port_block(5)
    assert first >= LOWEST_PORT
    assert first + 4 <= HIGHEST_PORT
    assert all(is_free(port) for port in range(first, first + 5))


def test_a_taken_port_is_not_free(tmp_path: Path) -> None:
    port = free_port_block()
    with RedisServer(port=port, folder=tmp_path):
        assert not is_free(port)
    assert is_free(port)


def test_a_durable_redis_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    server = RedisServer(port=free_port_block(), folder=tmp_path, durable=True)
    with server, Redis.from_url(server.url) as client:
        client.set("kept", "yes")
    with server, Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_a_broker_listens_on_the_loopback_address_alone(tmp_path: Path) -> None:
    server = RabbitServer(port=free_port_block(3), folder=tmp_path)
    with server:
        listening = [
            connection.laddr
            for connection in psutil.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN and server.port <= connection.laddr.port <= server.port + 2
        ]
    assert {address.port for address in listening} == set(range(server.port, server.port + 3))
    # epmd adds the loopback address of IPv6 by itself.
    assert {address.ip for address in listening} <= {"127.0.0.1", "::1"}


def test_two_copies_run_side_by_side(tmp_path: Path) -> None:
    first = RedisServer(port=free_port_block(), folder=tmp_path / "first")
    second = RedisServer(port=free_port_block(), folder=tmp_path / "second")
    with first, second:
        assert first.running
        assert second.running


def test_a_server_whose_port_is_taken_does_not_pass_for_ready(tmp_path: Path) -> None:
    with RedisServer(port=free_port_block(), folder=tmp_path / "first") as first:
        second = RedisServer(port=first.port, folder=tmp_path / "second")
        with pytest.raises(PortTaken, match=str(first.port)):
            second.start()
        assert first.running


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").write_text("not a folder")
    server = RedisServer(port=free_port_block(), folder=tmp_path, durable=True)
    with pytest.raises(ServerFailed, match="ended with code 1"):
        server.start()


def test_a_server_that_stays_silent_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    class Silent(RedisServer):
        def answers(self) -> bool:
            return False

    server = Silent(port=free_port_block(), folder=tmp_path)
    server.launch()
    pids = [process.pid for process in server.processes]
    with pytest.raises(ServerFailed, match="was not ready in time"):
        server.wait_ready(timeout_seconds=0.1)
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert is_free(server.port)


def test_a_server_that_ended_by_itself_does_not_pass_for_running(tmp_path: Path) -> None:
    server = RedisServer(port=free_port_block(), folder=tmp_path)
    with server:
        server.processes[0].kill()
        assert not server.running
        server.start()
        assert server.running
        assert server.answers()


def test_nothing_of_a_stopped_broker_stays(tmp_path: Path) -> None:
    server = RabbitServer(port=free_port_block(3), folder=tmp_path)
    server.start()
    pids = [process.pid for process in server.processes]
    families = [child for pid in pids if pid for child in psutil.Process(pid).children(recursive=True)]
    server.stop()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    _, alive = psutil.wait_procs(families, timeout=30)
    assert alive == []
    assert all(is_free(port) for port in range(server.port, server.port + 3))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    port = free_port_block()
    program = textwrap.dedent(
        f"""
        import pathlib, signal
        from chassis.embedded.redis import RedisServer
        server = RedisServer(port={port}, folder=pathlib.Path({str(tmp_path)!r}))
        server.start()
        print(server.processes[0].pid, flush=True)
        signal.pause()
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        os.kill(parent.pid, signal.SIGKILL)
        child.wait(timeout=30)
    assert is_free(port)
