"""nginx before a gateway of this machine, with the very configuration of the containers: for tests of it."""

import os
import socket
from pathlib import Path

from chassis.embedded.process import ChildProcess, EmbeddedServer, find_program

from local_stack.settings import REPOSITORY

CONFIGURATION = REPOSITORY / "deploy" / "nginx" / "nginx.conf"
# Where `tests/tools.sh` unpacks it, and where Debian installs it: the latter is not on everybody's PATH.
FOLDERS = (REPOSITORY / ".local" / "tools" / "nginx" / "usr" / "sbin", Path("/usr/sbin"))
# A loopback address of its own, so that a gateway can tell it from everybody else on this machine.
SOURCE_ADDRESS = "127.0.0.2"
PROBE_TIMEOUT_SECONDS = 1.0


def find_nginx() -> str:
    """The path of the program. Raises ProgramMissing."""
    return find_program("nginx", package="nginx", folders=FOLDERS)


class NginxServer(EmbeddedServer):
    """Listens on the loopback address; asks the gateway, an address such as `127.0.0.1:18000`, from SOURCE_ADDRESS."""

    name = "nginx"

    def __init__(self, *, port: int, folder: Path, gateway: str, web_root: Path) -> None:
        super().__init__(port=port, folder=folder)
        self._gateway = gateway
        self._web_root = web_root

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def build(self) -> list[ChildProcess]:
        path = self.folder / "nginx.conf"
        path.write_text(self._configuration(), encoding="utf-8")
        # Workers of root would be somebody who may not read our folders. The log of errors is given before any is read.
        workers = " user root;" if os.geteuid() == 0 else ""
        command = [find_nginx(), "-e", "stderr", "-c", str(path), "-g", f"daemon off;{workers}"]
        return [ChildProcess(name=self.name, command=command, log_path=self.log_path, environment={"TZ": "UTC"})]

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PROBE_TIMEOUT_SECONDS):
                return True
        except OSError:
            return False

    def _configuration(self) -> str:
        """The committed one; only what names places outside it is another."""
        text = CONFIGURATION.read_text(encoding="utf-8")
        for theirs, ours in (
            ("/tmp/nginx", f"{self.folder}/nginx"),  # noqa: S108 - a container's, which nobody shares
            ("server gateway:18000;", f"server {self._gateway};"),
            ("listen 8080 ", f"listen 127.0.0.1:{self.port} "),
            ("root /srv/web;", f"root {self._web_root};"),
            ("proxy_http_version 1.1;", f"proxy_http_version 1.1;\n        proxy_bind {SOURCE_ADDRESS};"),
        ):
            if theirs not in text:
                raise ValueError(f"{CONFIGURATION} says nothing of {theirs!r}")
            text = text.replace(theirs, ours)
        return text
