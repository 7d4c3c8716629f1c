"""`python -m local_stack.nursery DESCRIPTOR LIBRARY...`: loads the libraries once, and forks processes from there.

A dozen Python processes spend two seconds each on the same libraries, and thirty megabytes. Here they share both.
The descriptor is a socket to the runner: a birth comes in, the pid goes out, and when that process ends, its exit code.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path

from local_stack.nursery.messages import MESSAGE_BYTES_MAX, Birth, Born, Died

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ARGUMENTS_START, _ARGUMENTS_END = 45, 46  # fields 48 and 49 of /proc/self/stat (proc(5)), counted after the name


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        # What is not installed is not needed.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # Out of the collector's sight: its marks would make every page of every child its own.
    gc.collect()
    gc.freeze()
    birth = _serve(line)
    if birth is not None:
        sys.argv[1:] = birth["module"][1:]
        runpy.run_module(birth["module"][0], run_name="__main__", alter_sys=True)


def _serve(line: socket.socket) -> Birth | None:
    """Forks for each birth and tells of each death. Returns in each child with its birth, and at the end with None."""
    nursery = os.getpid()
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not line:
                    selector.unregister(key.fileobj)
                    _tell_of_death(line, pid=key.data, descriptor=key.fd)
                    continue
                message, descriptors, _flags, _address = socket.recv_fds(line, MESSAGE_BYTES_MAX, 1)
                if not message:
                    return None
                birth: Birth = json.loads(message)
                pid = os.fork()
                if pid == 0:
                    for other in list(selector.get_map().values()):
                        os.close(other.fd)
                    line.detach()
                    _become(birth, output=descriptors[0], parent=nursery)
                    return birth
                os.close(descriptors[0])
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, pid)
                line.send(json.dumps(Born(born=pid)).encode())


def _tell_of_death(line: socket.socket, *, pid: int, descriptor: int) -> None:
    os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    line.send(json.dumps(Died(died=pid, code=os.waitstatus_to_exitcode(status))).encode())


def _become(birth: Birth, *, output: int, parent: int) -> None:
    """What exec would have done."""
    os.setsid()
    _die_with(parent)
    os.chdir(birth["folder"])
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    os.close(output)
    os.environ.clear()
    os.environ.update(birth["environment"])
    _show_as((sys.executable, "-P", "-m", *birth["module"]))


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked


def _show_as(arguments: tuple[str, ...]) -> None:
    """What `ps` shows. Written over the nursery's own arguments, and cut where they end."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_END])
    title = "\0".join(arguments).encode()[: end - start - 1]
    ctypes.memmove(start, title.ljust(end - start, b"\0"), end - start)


if __name__ == "__main__":
    main()
