"""A Redis server of our own."""

from pathlib import Path

from chassis.embedded.process import ChildProcess, EmbeddedServer, find_program

MEMORY_MAX = "64mb"  # codes, revocations and caches of one machine's users are a few megabytes
PROBE_TIMEOUT_SECONDS = 1.0


class RedisServer(EmbeddedServer):
    """Redis on the loopback address. With `durable` it keeps what it knows over a restart (append-only file)."""

    name = "redis"

    def __init__(self, *, port: int, folder: Path, durable: bool = False) -> None:
        super().__init__(port=port, folder=folder)
        self._durable = durable

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def build(self) -> list[ChildProcess]:
        program = find_program("redis-server", package="redis-server")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        # Refuses writes when full instead of forgetting a revocation or a code.
        command += ["--save", "", "--maxmemory", MEMORY_MAX, "--maxmemory-policy", "noeviction", "--databases", "64"]
        # What was written survives SIGKILL without fsync, and a busy disk then holds nobody up: waiting for one, Redis
        # stops answering.
        command += ["--appendonly", "yes" if self._durable else "no", "--appendfsync", "no"]
        return [ChildProcess(name=self.name, command=command, log_path=self.log_path)]

    def answers(self) -> bool:
        # Not before it is asked: the client takes longer to load than the server to start.
        from redis import Redis  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415

        client = Redis.from_url(
            self.url, socket_connect_timeout=PROBE_TIMEOUT_SECONDS, socket_timeout=PROBE_TIMEOUT_SECONDS
        )
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()
