"""Times that clients name, for the services behind."""

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.errors import invalid


def read_moment(text: str, *, field: str, **facts: str) -> Timestamp:
    """`text` has the pattern of a time already. PublicError 400 where the calendar has no such moment, with `facts`."""
    moment = Timestamp()
    try:
        moment.FromJsonString(text)
    except ValueError:
        raise invalid(
            f"{field} is no such time.", field=field, rule="rfc3339_utc", value=text, limit="a day of the calendar",
            given=text, **facts,
        ) from None  # fmt: skip
    return moment
