"""A RabbitMQ broker of our own, with a name server (epmd) of its own that ends with it."""

import subprocess
from pathlib import Path
from typing import Any

from chassis.embedded.process import ChildProcess, EmbeddedServer, find_program

# Debian's wrapper in /usr/sbin refuses to run as anyone but root or rabbitmq.
FOLDERS = [Path("/usr/lib/rabbitmq/bin"), Path("/opt/homebrew/opt/rabbitmq/sbin"), Path("/usr/local/opt/rabbitmq/sbin")]
PORTS_USED = 3  # AMQP, distribution, epmd
PROBE_TIMEOUT_SECONDS = 1.0

CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:{port}
# A developer's disk may be nearly full; the default stops all publishers at 50 MB times the memory.
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 512MB
# The log of quorum queues is kept in memory up to this size; the default of 512 MB is more than the platform may take.
raft.wal_max_size_bytes = 16777216
log.console = true
log.console.level = warning
log.file = false
"""

# One scheduler pair and no busy waiting: an idle broker must not take the cores from the exchange. The port by which
# Erlang machines run each other's code is for this machine alone.
ERLANG_ARGUMENTS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


class RabbitServer(EmbeddedServer):
    """RabbitMQ on the loopback address with the user guest. Takes three ports: `port` and the two after it."""

    name = "rabbitmq"
    start_timeout_seconds = 60.0  # 4 s alone; the Erlang machine suffers most on busy cores

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def _epmd_port(self) -> int:
        return self.port + 2

    def build(self) -> list[ChildProcess]:
        configuration = self.folder / "rabbitmq.conf"
        configuration.write_text(CONFIGURATION.format(port=self.port))
        plugins = self.folder / "enabled_plugins"
        plugins.write_text("[].\n")
        # Left behind by a broker that was killed; the next one would believe it runs.
        (self.folder / "rabbitmq.pid").unlink(missing_ok=True)
        environment = {
            # The folder holds the Erlang cookie, so that neither ours nor the machine's own broker touch another's.
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"cryptovault-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self.port + 1),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_PID_FILE": str(self.folder / "rabbitmq.pid"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "rabbitmq-env.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG_ARGUMENTS,
            # Makes the start script become the Erlang machine instead of its parent, so that signals reach it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        # epmd as our child, in the foreground: the broker would start it as a daemon that stays for ever.
        epmd = ChildProcess(
            name="epmd",
            command=[find_program("epmd", package="erlang-base"), "-port", str(self._epmd_port)],
            log_path=self.folder / "epmd.log",
            environment={"ERL_EPMD_ADDRESS": "127.0.0.1"},
        )
        broker = ChildProcess(
            name=self.name,
            command=[find_program("rabbitmq-server", package="rabbitmq-server", folders=FOLDERS)],
            log_path=self.log_path,
            environment=environment,
        )
        return [epmd, broker]

    def answers(self) -> bool:
        # Not before it is asked: the client takes longer to load than all else here.
        from kombu.connection import Connection  # noqa: PLC0415
        from kombu.exceptions import OperationalError  # noqa: PLC0415

        # kombu has no types; the whole handshake, log-in included, is what a client would do.
        connection: Any = Connection(self.url, connect_timeout=PROBE_TIMEOUT_SECONDS)  # type: ignore[no-untyped-call]
        try:
            connection.connect()
        except (OSError, OperationalError, *connection.connection_errors):
            return False
        finally:
            connection.release()
        return True

    def stop(self) -> None:
        super().stop()
        self._end_stray_epmd()

    def kill(self) -> None:
        super().kill()
        self._end_stray_epmd()

    def _end_stray_epmd(self) -> None:
        # Only there when ours died first and the Erlang machine started one itself.
        subprocess.run(  # noqa: S603  # our own list of arguments
            [find_program("epmd", package="erlang-base"), "-port", str(self._epmd_port), "-kill"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=5,
        )
