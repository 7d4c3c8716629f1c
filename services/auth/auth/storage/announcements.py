from datetime import datetime
from uuid import UUID

from chassis.outbox import Outbox
from cryptovault.auth.v1 import events_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from auth.domain.sessions import Session


class OutboxAnnouncements:
    """Events, written to the outbox in the transaction that runs."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def user_verified(self, user_id: UUID, now: datetime) -> None:
        event = events_pb2.UserVerified(user_id=str(user_id), verified_at=_timestamp(now))
        await self._outbox.add(event, subject=str(user_id))

    async def session_revoked(self, session: Session, now: datetime) -> None:
        event = events_pb2.SessionRevoked(
            user_id=str(session.user_id), session_id=str(session.id), revoked_at=_timestamp(now)
        )
        # Not required: the gateway also asks Redis, so one that was not there when it happened has missed nothing,
        # and an event that nobody wants must not hold back the user's other events.
        await self._outbox.add(event, subject=str(session.user_id), required=False)

    async def second_factor_removed(self, user_id: UUID, now: datetime) -> None:
        event = events_pb2.SecondFactorRemoved(user_id=str(user_id), removed_at=_timestamp(now))
        await self._outbox.add(event, subject=str(user_id))


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
