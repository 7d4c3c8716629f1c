"""A MongoDB-wire server: SecantusDB, a program of its own group, never imported."""

import sys
from pathlib import Path

from chassis.embedded.process import ChildProcess, EmbeddedServer, find_program

PROBE_TIMEOUT_MILLISECONDS = 1000


class MongoServer(EmbeddedServer):
    """Speaks MongoDB's protocol as a replica set of one. Acknowledged writes survive SIGKILL.

    But for one moment: killed while it makes one of its few tables, for a collection that is new, it cannot start again
    (WiredTiger's WT-14586, mended there since).
    """

    name = "mongo"
    cache_size = "128M"  # its default of 1 GiB is most of what the whole platform may take
    syncs_on_commit = True  # without it a kill -9 loses acknowledged transactions

    @property
    def url(self) -> str:
        # A direct connection: the set has one member, and its discovery would only cost a round trip. No retried
        # writes: for each the server looks through the replies it keeps of all others (decision 0094).
        options = "directConnection=true&serverMonitoringMode=poll&retryWrites=false"
        return f"mongodb://127.0.0.1:{self.port}/?{options}"

    def build(self) -> list[ChildProcess]:
        program = find_program(
            "secantusd-py", package="SecantusDB (uv sync --group embedded)", folders=[Path(sys.executable).parent]
        )
        command = [program, "--host", "127.0.0.1", "--port", str(self.port)]
        command += [
            "--storage-path",
            str(self.folder / "data"),
            "--cache-size",
            self.cache_size,
            "--log-level",
            "WARNING",
        ]
        if self.syncs_on_commit:
            command += ["--sync-on-commit"]
        # HOME and the working folder are where it would look for a configuration that is not ours.
        return [
            ChildProcess(
                name=self.name, command=command, log_path=self.log_path, environment={"HOME": str(self.folder)}
            )
        ]

    def answers(self) -> bool:
        # Not before it is asked: the client takes longer to load than the server to start.
        from pymongo import MongoClient  # noqa: PLC0415
        from pymongo.errors import PyMongoError  # noqa: PLC0415

        client: MongoClient[dict[str, object]] = MongoClient(
            self.url,
            serverSelectionTimeoutMS=PROBE_TIMEOUT_MILLISECONDS,
            connectTimeoutMS=PROBE_TIMEOUT_MILLISECONDS,
            socketTimeoutMS=PROBE_TIMEOUT_MILLISECONDS,
        )
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
        finally:
            client.close()
        return True
