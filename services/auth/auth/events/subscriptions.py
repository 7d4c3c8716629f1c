"""What we consume from the bus."""

import re
from datetime import UTC
from uuid import UUID

from chassis.events import Envelope
from chassis.inbox import Inbox
from chassis.subscriptions import Subscription
from cryptovault.common.v1.audit_pb2 import Audited

from auth.domain.audit import AuditEntry
from auth.use_cases.audit_ports import AuditTrail

QUEUE = "auth.audited"
# Whose word is taken, and what the stream is called: auth and trading write into theirs otherwise.
SOURCES = frozenset({"market-data", "notifications", "portfolio"})
DETAILS_MAX = 32
TEXT_LENGTH_MAX = 4_096  # an operator's change as JSON
_ACTION = re.compile(r"[a-z][a-z0-9_]{0,63}")


class NotAuditable(Exception):
    """From a service that has no stream, or not of the form. Trying again cannot help, so it ends up parked."""


def audited(inbox: Inbox, audit_trail: AuditTrail) -> Subscription[Audited]:
    """What other services tell of: each event once, in the stream of the service that sent it."""

    async def handle(envelope: Envelope[Audited]) -> None:
        entry = _entry(envelope)
        await audit_trail.open(envelope.source)
        await inbox.once(QUEUE, envelope.id, lambda: audit_trail.append(envelope.source, [entry]))

    return Subscription(queue=QUEUE, event=Audited, handler=handle)


def _entry(envelope: Envelope[Audited]) -> AuditEntry:
    event = envelope.event
    if envelope.source not in SOURCES:
        raise NotAuditable(f"{envelope.source} has no stream in the audit trail")
    if not _ACTION.fullmatch(event.action) or not event.actor:
        raise NotAuditable(f"{envelope.id} does not say who did what")
    texts = [event.actor, event.resource, event.address, event.session_id, event.request_id]
    texts += [text for pair in event.details.items() for text in pair]
    if len(event.details) > DETAILS_MAX or any(len(text) > TEXT_LENGTH_MAX for text in texts):
        raise NotAuditable(f"{envelope.id} says too much")
    try:
        event_id, user_id = UUID(envelope.id), UUID(event.user_id) if event.user_id else None
    except ValueError as error:
        raise NotAuditable(f"{envelope.id}: an id is a UUID") from error
    return AuditEntry(
        id=event_id,
        user_id=user_id,
        actor=event.actor,
        action=event.action,
        resource=event.resource or None,
        address=event.address or None,
        session_id=event.session_id or None,
        request_id=event.request_id,
        timestamp=event.time.ToDatetime(tzinfo=UTC) if event.HasField("time") else envelope.time.astimezone(UTC),
        details=dict(event.details),
    )
