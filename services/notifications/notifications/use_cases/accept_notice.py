"""Take a notice that hangs on an event, for delivery."""

from datetime import datetime

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.logs import get_logger

from notifications.domain.mails import Mail, MailKind, MailStatus
from notifications.use_cases.ports import Mails, TaskQueue

log = get_logger(__name__)


class AcceptNotice:
    """Writes the mail down; to whom it goes is looked up when it leaves. Lost it is not: the sweep finds it."""

    def __init__(self, *, mails: Mails, queue: TaskQueue, clock: Clock) -> None:
        self._mails = mails
        self._queue = queue
        self._clock = clock

    async def __call__(self, *, event_id: str, user_id: str, notice: str, time: datetime) -> None:
        """`notice` is one of NOTICE_EVENTS, `time` when it happened. A repeat sends nothing twice."""
        now = self._clock.now()
        mail = await self._mails.add(
            Mail(
                id=f"notice:{event_id}",
                kind=MailKind.SECURITY_NOTICE,
                user_id=user_id,
                recipient=None,
                facts={
                    "event": notice, "time": time.strftime("%Y-%m-%d %H:%M UTC"), "address": "", "device": "",
                    "subject": "", "link": "",
                },
                digest="",
                status=MailStatus.QUEUED,
                attempts=0,
                created_at=now,
                due_at=now,
                expires_at=None,
            )
        )  # fmt: skip
        if mail.status is not MailStatus.QUEUED:
            return
        try:
            await self._queue.send_notice(mail.id)
        except Unavailable as error:
            log.warning("Mail waits for the sweep", event="mails_wait", count=1, problem=error.reason)
