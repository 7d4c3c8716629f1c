"""Which process listens where, as distances from the first port."""

import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import psutil

METRICS_DISTANCE = 100

OFFSETS: Mapping[str, int] = MappingProxyType(
    {
        "gateway": 0,
        "mongo": 1,
        "redis": 2,
        "rabbitmq": 3,
        "rabbitmq-distribution": 4,
        "rabbitmq-epmd": 5,
        "mailbox": 6,
        "journal": 7,
        "auth": 10,
        "trading": 11,
        "trading-projector": 12,
        "market-data": 13,
        "portfolio": 14,
        "notifications": 15,
        "notifications-worker": 16,
        "trading-2": 17,
    },
)


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one platform. Names are those of its processes."""

    base: int

    def __getitem__(self, name: str) -> int:
        return self.base + OFFSETS[name]

    def metrics(self, name: str) -> int:
        return self[name] + METRICS_DISTANCE

    def address(self, name: str) -> str:
        """Host and port, as gRPC wants them."""
        return f"127.0.0.1:{self[name]}"


class PortsTaken(Exception):
    """Somebody else listens where a process of ours should."""

    def __init__(self, taken: Mapping[int, str], *, port_base: int) -> None:
        self.taken = dict(taken)
        lines = [f"  {port} is held by {holder}" for port, holder in sorted(self.taken.items())]
        super().__init__(
            "These ports are taken:\n"
            + "\n".join(lines)
            + f"\nStop their holders, or choose another block: CRYPTOVAULT_PORT_BASE={port_base + 1_000} make run",
        )


def require_free(ports: Collection[int], *, port_base: int) -> None:
    """Raise PortsTaken, naming each holder where the system tells, unless all can be listened on."""
    taken = [port for port in ports if not _is_free(port)]
    if taken:
        raise PortsTaken({port: _holder(port) for port in taken}, port_base=port_base)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port in TIME_WAIT from the last run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "a process this user may not see"
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.pid is not None:
            try:
                process = psutil.Process(connection.pid)
                return f"{process.name()} (pid {connection.pid}): {' '.join(process.cmdline())[:120]}"
            except psutil.Error:
                return f"pid {connection.pid}"
    return "a process this user may not see"
