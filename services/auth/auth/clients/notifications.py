"""The mail with the code, handed to notifications."""

import asyncio

import grpc.aio
from chassis.clock import Clock
from chassis.errors import ErrorKind, RemoteError
from chassis.logs import get_logger
from cryptovault.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp

from auth.domain.one_time_codes import CodePurpose
from auth.use_cases.ports import CodeMessage

SEND_DEADLINE_SECONDS = 2.0
PAUSE_FIRST_SECONDS = 0.2
PAUSE_MAX_SECONDS = 5.0

_PURPOSES = {
    CodePurpose.VERIFY_EMAIL: notifications_pb2.CODE_PURPOSE_VERIFY_EMAIL,
    CodePurpose.ALREADY_REGISTERED: notifications_pb2.CODE_PURPOSE_ALREADY_REGISTERED,
    CodePurpose.RESET_PASSWORD: notifications_pb2.CODE_PURPOSE_RESET_PASSWORD,
    CodePurpose.SECURITY_NOTICE: notifications_pb2.CODE_PURPOSE_SECURITY_NOTICE,
}

log = get_logger(__name__)


class NotificationsCourier:
    """Asks until notifications has taken the message or its code has expired; the message's id makes repeats one."""

    def __init__(self, channel: grpc.aio.Channel, clock: Clock) -> None:
        self._notifications = notifications_pb2_grpc.NotificationsServiceStub(channel)
        self._clock = clock

    async def send(self, message: CodeMessage) -> None:
        """Raises RemoteError where notifications refuses it, or does not answer while the code lives."""
        pause = PAUSE_FIRST_SECONDS
        while True:
            try:
                await self._notifications.SendCode(_request(message), timeout=SEND_DEADLINE_SECONDS)
            except RemoteError as error:
                if error.kind is not ErrorKind.UNAVAILABLE or self._clock.now() >= message.expires_at:
                    raise
                log.warning("Code waits for notifications", event="code_waits", message_id=str(message.message_id))
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_MAX_SECONDS)
            else:
                return


def _request(message: CodeMessage) -> notifications_pb2.SendCodeRequest:
    expires_at = Timestamp()
    expires_at.FromDatetime(message.expires_at)
    return notifications_pb2.SendCodeRequest(
        message_id=str(message.message_id),
        user_id=str(message.user_id),
        email=message.email,
        name=message.name,
        code=message.code,
        purpose=_PURPOSES[message.purpose],
        expires_at=expires_at,
        facts=message.facts,
    )
