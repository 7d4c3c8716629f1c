"""The table of `make status`."""

import psutil

from local_stack import sessions
from local_stack.data_folder import StackReport


def status_lines(report: StackReport | None) -> list[str]:
    """One line per process, with the resident memory of it and all it started."""
    if report is None:
        return ["Nothing runs here. `make start` or `make run` starts the platform."]
    lines = [f"{'process':<22}{'state':<12}{'pid':>8}{'port':>7}{'memory':>10}{'restarts':>10}"]
    total = 0
    for process in report["processes"]:
        resident = memory_bytes(process["pid"]) if process["pid"] else 0
        total += resident
        lines.append(
            f"{process['name']:<22}{process['state']:<12}{process['pid'] or '-':>8}{process['port'] or '-':>7}"
            f"{resident / 1_000_000:>7.0f} MB{process['restarts']:>10}"
        )
    ready = report["ready_seconds"]
    lines.append(f"{'total':<49}{total / 1_000_000:>7.0f} MB")
    lines.append(f"{report['gateway_url']}  " + ("starting" if ready is None else f"ready after {ready:.1f} s"))
    return lines


def memory_bytes(session: int) -> int:
    """Resident memory of all processes of a session; what they share counts for each."""
    return sum(_resident_bytes(pid) for pid in sessions.members(session))


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
