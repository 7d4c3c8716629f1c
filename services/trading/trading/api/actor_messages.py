"""Who asked for an event, as other services may know it."""

from typing import Protocol

from cryptovault.trading.v1 import events_pb2

from trading.domain.commands import Actor


class _AskedFor(Protocol):
    @property
    def actor(self) -> Actor | None: ...


def actor_message(event: _AskedFor) -> events_pb2.Actor | None:
    """None where nobody asked, as for an expiry."""
    actor = event.actor
    if actor is None:
        return None
    return events_pb2.Actor(
        user_id=actor.user_id,
        credential_id=actor.credential_id,
        request_id=actor.request_id,
        address=actor.received_from,
    )
