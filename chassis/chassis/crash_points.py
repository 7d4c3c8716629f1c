"""Places where a test may kill the process, to see what the next start makes of it.

Settings refuse a crash point outside the test profile (`chassis.settings`), so in production none is ever armed.
"""

import os
import signal


class _Armed:
    """At most one point per process; set once at start."""

    name: str | None = None
    passes_left = 0


def arm_crash_point(specification: str | None) -> None:
    """`"after_append"` kills at the first pass, `"after_append:3"` at the third; None disarms."""
    name, _, count = (specification or "").partition(":")
    _Armed.name = name or None
    _Armed.passes_left = int(count) if count else 1


def crash_point(name: str) -> None:
    """End this process by SIGKILL, as a power cut would, if this is the armed point. Otherwise nothing."""
    if _Armed.name is None or _Armed.name != name:
        return
    _Armed.passes_left -= 1
    if _Armed.passes_left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
