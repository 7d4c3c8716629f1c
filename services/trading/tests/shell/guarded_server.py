"""A database that asks for a password, speaks TLS, and fails a command where it is told to."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pymongo
from chassis.embedded.mongo import MongoServer
from chassis.embedded.process import ChildProcess
from chassis.testing.certificates import Authority

USER, PASSWORD = "ann", "p/ss wörd"


class _Guarded(MongoServer):
    guards: tuple[str, ...] = ()

    def build(self) -> list[ChildProcess]:
        (plain,) = super().build()
        return [ChildProcess(name=plain.name, command=[*plain.command, *self.guards], log_path=plain.log_path)]

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def guarded_server(port: int, folder: Path) -> Iterator[str]:
    """Its URL, with the password and the authority in it."""
    with MongoServer(port=port, folder=folder / "mongo") as open_server, _client(open_server.url) as client:
        client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
    paths = certificate_files(folder)
    server = _Guarded(port=port, folder=folder / "mongo")
    server.guards = ("--auth", "--enable-test-commands", "--tls-cert-file", str(paths["certificate"]))
    server.guards += ("--tls-key-file", str(paths["key"]))
    with server:
        query = f"{urlsplit(server.url).query}&tls=true&tlsCAFile={paths['authority']}"
        yield f"mongodb://{USER}:{quote(PASSWORD, safe='')}@localhost:{port}/?{query}"


def certificate_files(folder: Path) -> dict[str, Path]:
    made = Authority().certificates("mongo")
    paths = {}
    for name, content in (("authority", made.authority), ("certificate", made.certificate), ("key", made.key)):
        paths[name] = folder / f"{name}.pem"
        paths[name].write_bytes(content)
    return paths


def _client(url: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(url)
