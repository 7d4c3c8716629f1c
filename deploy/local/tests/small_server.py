"""A program for the runner's tests: small_server.py NAME PORT JOURNAL [OPTION...].

Writes `started NAME`, `serving NAME` and `stopping NAME` into the journal, and listens on the port once it serves.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

name, port, journal, *options = sys.argv[1:]


def note(what: str) -> None:
    with Path(journal).open("a") as file:
        file.write(f"{what} {name}\n")


def on_stop(_number: int, _frame: object) -> None:
    note("stopping")
    sys.exit(0)


note("started")
sys.stdout.write(f"{name} says hello with {os.environ.get('GREETING', 'nothing')}\n")
sys.stdout.flush()
if "dies" in options:
    sys.exit(3)
if "misconfigured" in options:
    sys.exit(78)
if "deaf" in options:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, on_stop)
if "parent" in options:
    # One child in our session, one in a process group of its own, one that left the session.
    sleeper = [
        sys.executable,
        "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    ]
    children = [
        subprocess.Popen(sleeper),
        subprocess.Popen(sleeper, process_group=0),
        subprocess.Popen(sleeper, start_new_session=True),
    ]
    Path(f"{journal}.children").write_text(" ".join(str(child.pid) for child in children))
if "mute" in options:
    time.sleep(600)
time.sleep(1.5 if "slow" in options else 0)  # longer than a starved machine takes to start a second one
note("serving")
with socket.create_server(("127.0.0.1", int(port))) as server:
    while True:
        server.accept()[0].close()
