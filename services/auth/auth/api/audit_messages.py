"""Entries of the audit trail as messages, and what is asked for of them."""

from datetime import UTC, datetime
from uuid import UUID

from chassis.errors import InvalidArgument
from cryptovault.auth.v1 import auth_pb2

from auth.domain.audit_chain import SealedEntry
from auth.use_cases.audit_ports import AuditFilter


def wanted_entries(message: auth_pb2.AuditFilter) -> AuditFilter:
    """Raises InvalidArgument."""
    return AuditFilter(
        user_id=_user(message.user_id) if message.user_id else None,
        action=message.action or None,
        since=_moment(message, "from_time"),
        until=_moment(message, "to_time"),
    )


def entry_message(sealed: SealedEntry) -> auth_pb2.AuditEntry:
    entry = sealed.entry
    message = auth_pb2.AuditEntry(
        id=str(entry.id),
        user_id="" if entry.user_id is None else str(entry.user_id),
        actor=entry.actor,
        action=entry.action,
        resource=entry.resource or "",
        address=entry.address or "",
        session_id=entry.session_id or "",
        request_id=entry.request_id,
        details=entry.details,
        stream=sealed.stream,
        sequence=sealed.sequence,
        hash=sealed.hash,
    )
    message.time.FromDatetime(entry.timestamp)
    return message


def _user(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidArgument("An id is a UUID.", field="user_id", rule="uuid") from None


def _moment(message: auth_pb2.AuditFilter, field: str) -> datetime | None:
    if not message.HasField(field):  # type: ignore[arg-type]  # a name of the message
        return None
    try:
        moment: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument("There is no such time.", field=field.removesuffix("_time"), rule="time") from None
    return moment
