"""The table of `make status`."""

import psutil

from local_stack import sessions
from local_stack.data_folder import StackReport


def status_lines(report: StackReport | None) -> list[str]:
    """One line per process, with the memory of it and all it started."""
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
    if report["nursery_pid"] is not None:
        shared = memory_bytes(report["nursery_pid"])
        total += shared
        lines.append(
            f"{'nursery':<22}{'ready':<12}{report['nursery_pid']:>8}{'-':>7}{shared / 1_000_000:>7.0f} MB{'-':>10}"
        )
    ready = report["ready_seconds"]
    lines.append(f"{'total':<49}{total / 1_000_000:>7.0f} MB")
    lines.append(f"{report['gateway_url']}  " + ("starting" if ready is None else f"ready after {ready:.1f} s"))
    return lines


def memory_bytes(session: int) -> int:
    """Memory of all processes of a session. Of a page that several processes share, each has its part (PSS)."""
    return sum(_proportional_bytes(pid) for pid in sessions.members(session))


def _proportional_bytes(pid: int) -> int:
    try:
        memory = psutil.Process(pid).memory_full_info()
        return int(getattr(memory, "pss", memory.uss))  # only Linux knows the parts
    except psutil.Error:
        return 0
