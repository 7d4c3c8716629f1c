"""`NotificationsService`: translate, call, translate."""

from datetime import UTC
from typing import Any

from chassis.errors import InvalidArgument
from cryptovault.notifications.v1 import notifications_pb2, notifications_pb2_grpc

from notifications.domain.mails import NOTICE_EVENTS, MailKind
from notifications.use_cases.accept_code import AcceptCode, CodeMessage
from notifications.use_cases.ports import Secret

FIELD_LENGTH_MAX = 320  # the longest address there can be (RFC 5321); names and ids are shorter
CODE_LENGTH_MAX = 128  # six digits; or what ends a notice's link
# Every one is there for the template, empty where auth does not know it.
NOTICE_FACTS = ("event", "time", "address", "device", "subject", "link")

_KINDS = {
    notifications_pb2.CODE_PURPOSE_VERIFY_EMAIL: MailKind.VERIFY_EMAIL,
    notifications_pb2.CODE_PURPOSE_ALREADY_REGISTERED: MailKind.ALREADY_REGISTERED,
    notifications_pb2.CODE_PURPOSE_RESET_PASSWORD: MailKind.RESET_PASSWORD,
    notifications_pb2.CODE_PURPOSE_SECURITY_NOTICE: MailKind.SECURITY_NOTICE,
}


class NotificationsServicer(notifications_pb2_grpc.NotificationsServiceServicer):
    def __init__(self, *, accept_code: AcceptCode) -> None:
        self._accept_code = accept_code

    async def SendCode(  # noqa: N802 - the contract's name
        self,
        request: notifications_pb2.SendCodeRequest,
        context: Any,  # noqa: ARG002
    ) -> notifications_pb2.SendCodeResponse:
        await self._accept_code(_message(request))
        return notifications_pb2.SendCodeResponse()


def _message(request: notifications_pb2.SendCodeRequest) -> CodeMessage:
    kind = _KINDS.get(request.purpose)
    if kind is None:
        raise InvalidArgument("The purpose is unknown.", field="purpose", rule="known")
    for field in ("message_id", "user_id", "email"):
        if not getattr(request, field):
            raise InvalidArgument(f"{field} is required.", field=field, rule="required")
    for field in ("message_id", "user_id", "email", "name"):
        if len(getattr(request, field)) > FIELD_LENGTH_MAX:
            raise InvalidArgument(f"{field} is too long.", field=field, rule=f"at most {FIELD_LENGTH_MAX} characters")
    if kind.carries_code and not 0 < len(request.code) <= CODE_LENGTH_MAX:
        raise InvalidArgument("A code is required.", field="code", rule=f"1 to {CODE_LENGTH_MAX} characters")
    if len(request.code) > CODE_LENGTH_MAX:
        raise InvalidArgument("The code is too long.", field="code", rule=f"at most {CODE_LENGTH_MAX} characters")
    if not request.HasField("expires_at"):
        raise InvalidArgument("expires_at is required.", field="expires_at", rule="required")
    return CodeMessage(
        message_id=request.message_id,
        kind=kind,
        user_id=request.user_id,
        email=request.email,
        facts=_facts(request, kind),
        secret=Secret(
            code="" if kind is MailKind.ALREADY_REGISTERED else request.code,
            name=request.name,
            expires_at=request.expires_at.ToDatetime(tzinfo=UTC),
        ),
    )


def _facts(request: notifications_pb2.SendCodeRequest, kind: MailKind) -> dict[str, str]:
    if kind is not MailKind.SECURITY_NOTICE:
        return {}
    for name, fact in request.facts.items():
        if name not in NOTICE_FACTS or len(fact) > FIELD_LENGTH_MAX:
            raise InvalidArgument("A fact is unknown or too long.", field="facts", rule="known")
    if request.facts["event"] not in NOTICE_EVENTS:
        raise InvalidArgument("The event is unknown.", field="facts", rule="known_event")
    return {name: request.facts[name] for name in NOTICE_FACTS}
