"""Moments as the exchange counts them, in milliseconds since 1970; as datetimes, for rows; as text, for refusals."""

from datetime import UTC, datetime, timedelta

MOMENT_MAX = 253_402_300_799_999  # the last millisecond of the year 9999: RFC 3339 has no later one

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def time_of(milliseconds: int) -> datetime:
    # Exact: of a float's seconds, far years lose their last millisecond where the database cuts off the rest.
    return _START + timedelta(milliseconds=milliseconds)


def milliseconds_of(time: datetime) -> int:
    """What is within a millisecond counts as its beginning."""
    return (time - _START) // _MILLISECOND


def moment_text(milliseconds: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    return time_of(milliseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
