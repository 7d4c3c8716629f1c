"""The whole platform as one object, for tests that cross services and for the bench."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, Self


class Platform:
    """`async with Platform(data_dir=folder) as platform:` starts everything and waits until it is ready."""

    def __init__(
        self,
        *,
        data_dir: Path,
        port_base: int | None = None,
        profile: Literal["local", "bench", "test"] = "test",
        environment: Mapping[str, Mapping[str, str]] | None = None,
        only: Collection[str] | None = None,
        ready_seconds: float = 120.0,
    ) -> None:
        """A free block of ports is taken where `port_base` is None; `environment` adds settings per process name;
        `only` starts the named processes and what they need."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

    @property
    def gateway_url(self) -> str:
        """`http://127.0.0.1:18000`, no trailing slash."""

    @property
    def websocket_url(self) -> str:
        """`ws://127.0.0.1:18000/ws`."""

    @property
    def mailbox_url(self) -> str: ...
    @property
    def mongo_url(self) -> str: ...
    @property
    def redis_url(self) -> str: ...
    @property
    def amqp_url(self) -> str: ...

    def address(self, name: str) -> str:
        """`127.0.0.1:18011`, where the named service listens for gRPC."""

    def metrics_url(self, name: str) -> str:
        """`http://127.0.0.1:18111/metrics`."""

    def pid(self, name: str) -> int | None:
        """The process now living under this name."""

    def pids(self, name: str) -> tuple[int, ...]:
        """It and its descendants (CPU and memory are their sum)."""

    def restarts(self, name: str) -> int: ...

    async def kill(self, name: str) -> None:
        """SIGKILL to the process and its descendants; returns when they are gone. It is then restarted, with back-off."""

    async def stop(self, name: str) -> None:
        """Stop it gracefully, and leave it stopped."""

    async def start(self, name: str) -> None:
        """Start what was stopped; returns when ready."""

    async def restart(self, name: str, *, environment: Mapping[str, str] | None = None) -> None:
        """Stop and start; `environment` (a crash point, say) holds for this one life, not after a crash."""

    def signal(self, name: str, number: int) -> None:
        """Send SIGSTOP, SIGCONT, ... to the process and its descendants."""

    async def wait_ready(self, name: str | None = None, *, timeout_seconds: float = 60.0) -> None:
        """Until the named process (or all) is up and says that it serves. Raises TimeoutError."""

    def log_path(self, name: str) -> Path: ...
