"""Free TCP ports for servers of our own."""

import random
import socket

LOWEST_PORT = 20000  # the local platform's default block lies below, at 18000
HIGHEST_PORT = 32767  # above lies the kernel's ephemeral range, where any outgoing connection may take a port from us
ATTEMPTS_MAX = 200  # blocks tried before giving up; a machine that is this full has another problem


class NoFreePorts(RuntimeError):
    """No block of neighbouring ports was free."""

    def __init__(self, *, size: int) -> None:
        super().__init__(f"found no {size} neighbouring free ports between {LOWEST_PORT} and {HIGHEST_PORT}")


def free_port_block(size: int = 1) -> int:
    """The first of `size` neighbouring ports on 127.0.0.1 that are free now.

    The start is random, so that two test runs that begin in the same moment look in different places.
    """
    for _ in range(ATTEMPTS_MAX):
        first = random.SystemRandom().randint(LOWEST_PORT, HIGHEST_PORT - size + 1)
        if all(is_free(port) for port in range(first, first + size)):
            return first
    raise NoFreePorts(size=size)


def is_free(port: int) -> bool:
    """True when nothing listens on that port of the loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
