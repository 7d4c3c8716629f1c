"""Moments as text, for refusals that name one."""

from datetime import UTC, datetime, timedelta

MOMENT_MAX = 253_402_300_799_999  # the last millisecond of the year 9999: RFC 3339 has no later one

_START = datetime(1970, 1, 1, tzinfo=UTC)


def moment_text(milliseconds: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    moment = _START + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
