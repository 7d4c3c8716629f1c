"""What an event looks like on the bus: a protobuf body with CloudEvents attributes as AMQP headers.

CloudEvents 1.0, AMQP protocol binding, binary mode: https://github.com/cloudevents/spec (amqp-protocol-binding.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message

E = TypeVar("E", bound=Message)

PACKAGE_PREFIX = "cryptovault."
HEADER_PREFIX = "cloudEvents:"
SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/protobuf"
BODY_BYTES_MAX = 256 * 1024  # an event is a fact, not a file; the bus is shared


class MalformedEvent(Exception):
    """A message on the bus is not an event we can read. Trying again cannot help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEvent:
    """An event ready to be sent. `subject` names the aggregate: events of one subject keep their order."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    body: bytes
    traceparent: str | None = None
    # True: someone must be bound to receive it, else publishing fails and the relay tries again later.
    required: bool = False

    def headers(self) -> dict[str, str]:
        attributes = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "type": self.type,
            "source": self.source,
            "subject": self.subject,
            "time": self.time.astimezone(UTC).isoformat(timespec="microseconds"),
        }
        if self.traceparent:
            attributes["traceparent"] = self.traceparent
        return {f"{HEADER_PREFIX}{name}": value for name, value in attributes.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope(Generic[E]):
    """A received event with what its sender said about it. `attempt` counts 1, 2, 3, ... within this process."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    traceparent: str | None
    event: E
    attempt: int = 1


def event_type(event: type[Message] | Message) -> str:
    """The type of an event, which is also its routing key: `auth.v1.UserVerified`."""
    return event.DESCRIPTOR.full_name.removeprefix(PACKAGE_PREFIX)


def event_source(event: type[Message] | Message) -> str:
    """The service that owns an event, by its package: `auth`."""
    return event_type(event).partition(".")[0].replace("_", "-")


def open_envelope(event: type[E], *, headers: Mapping[str, object], body: bytes) -> Envelope[E]:
    """Reads a received message as an event of that type.

    Raises:
        MalformedEvent: an attribute is missing or wrong, or the body is not that message.
    """
    attributes = {
        name.removeprefix(HEADER_PREFIX): value
        for name, value in headers.items()
        if name.startswith(HEADER_PREFIX) and isinstance(value, str)
    }
    missing = {"id", "type", "source", "subject", "time"} - attributes.keys()
    if missing:
        raise MalformedEvent(f"attributes missing: {', '.join(sorted(missing))}")
    if attributes["type"] != event_type(event):
        raise MalformedEvent(f"type {attributes['type']!r} where {event_type(event)!r} was expected")
    try:
        time = datetime.fromisoformat(attributes["time"])
        parsed = event.FromString(body)
    except (ValueError, DecodeError) as error:
        raise MalformedEvent(f"unreadable: {error}") from error
    if time.tzinfo is None:
        raise MalformedEvent("time without an offset")
    return Envelope(
        id=attributes["id"],
        type=attributes["type"],
        source=attributes["source"],
        subject=attributes["subject"],
        time=time,
        traceparent=attributes.get("traceparent"),
        event=parsed,
    )
