"""Times on the wire: RFC 3339, UTC, milliseconds."""

import time
from datetime import datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

_NANOS_PER_MILLISECOND = 1_000_000


def time_text(moment: Timestamp) -> str:
    return f"{_seconds_text(moment.seconds)}.{moment.nanos // _NANOS_PER_MILLISECOND:03d}Z"


def optional_time_text(message: object, field: str) -> str | None:
    """The time in that field of a protobuf message; None where it is not set."""
    if not message.HasField(field):  # type: ignore[attr-defined]
        return None
    return time_text(getattr(message, field))


def unix_time_text(seconds: float) -> str:
    """Of seconds since 1970."""
    whole = int(seconds)
    return f"{_seconds_text(whole)}.{int((seconds - whole) * 1000):03d}Z"


def datetime_text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=4_096)  # the lines of one page share their seconds
def _seconds_text(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
