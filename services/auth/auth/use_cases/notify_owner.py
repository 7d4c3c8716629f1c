from datetime import timedelta
from functools import partial

from chassis.clock import Clock
from chassis.identity import current_caller
from chassis.ids import Ids
from chassis.logs import get_logger

from auth.domain.errors import TooBusy
from auth.domain.notices import NoticeEvent
from auth.domain.one_time_codes import CodePurpose
from auth.domain.users import User
from auth.use_cases.ports import CodeMessage, Courier, Errands

KEPT_FOR = timedelta(days=1)  # a notice that could not be sent for so long tells of the past

log = get_logger(__name__)


class NotifyOwner:
    """Tells an account's owner by mail what happened to it, after the reply: what is told must not show in its time."""

    def __init__(self, *, courier: Courier, errands: Errands, clock: Clock, ids: Ids) -> None:
        self._courier = courier
        self._errands = errands
        self._clock = clock
        self._ids = ids

    def __call__(self, user: User, event: NoticeEvent, *, device: str = "", subject: str = "") -> None:
        """Never raises: what happened has happened, and its record does not hang on a mail."""
        now = self._clock.now()
        message = CodeMessage(
            message_id=self._ids.new(),
            user_id=user.id,
            email=user.email,
            name=user.name,
            code="",
            purpose=CodePurpose.SECURITY_NOTICE,
            expires_at=now + KEPT_FOR,
            facts={
                "event": event.value,
                "time": now.strftime("%Y-%m-%d %H:%M UTC"),
                "address": current_caller().address or "",
                "device": device,
                "subject": subject,
            },
        )
        try:
            self._errands.hand_over("send_notice", partial(self._courier.send, message))
        except TooBusy:
            log.warning("Notice dropped", event="notice_dropped", account_id=str(user.id), notice=event.value)
