"""Take a one-time code, or a notice of that kind, for delivery."""

from dataclasses import dataclass
from datetime import datetime

from chassis.clock import Clock
from chassis.logs import get_logger

from notifications.domain.errors import CodeExpired, MessageIdReused
from notifications.domain.mails import Mail, MailKind, MailStatus
from notifications.use_cases.ports import Mails, Seal, Secret, TaskQueue

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMessage:
    message_id: str
    kind: MailKind
    user_id: str
    email: str
    facts: dict[str, str]
    secret: Secret


class AcceptCode:
    """Writes the mail down without its code and hands the sealed rest to the worker.

    A repeat under the same id sends nothing twice. Where the broker did not take the task the caller hears
    UNAVAILABLE and repeats: the code is nowhere else, so nobody but the caller can.
    """

    def __init__(self, *, mails: Mails, queue: TaskQueue, seal: Seal, clock: Clock) -> None:
        self._mails = mails
        self._queue = queue
        self._seal = seal
        self._clock = clock

    async def __call__(self, message: CodeMessage) -> None:
        """Raises CodeExpired, MessageIdReused, Unavailable."""
        now = self._clock.now()
        secret = message.secret
        if secret.expires_at <= now:
            raise CodeExpired
        wanted = self._mail(message, now)
        mail = await self._mails.add(wanted)
        if mail.digest != wanted.digest:
            raise MessageIdReused(message_id=message.message_id)
        if mail.status is not MailStatus.QUEUED:
            return
        # Also for a repeat: the first time the broker may not have got it. Two tasks for one mail send it once.
        await self._queue.send_code(mail.id, self._seal.close(secret), expires_at=secret.expires_at)
        log.info("Mail queued", event="mail_queued", mail_id=mail.id, kind=mail.kind.value)

    def _mail(self, message: CodeMessage, now: datetime) -> Mail:
        secret = message.secret
        return Mail(
            id=message.message_id,
            kind=message.kind,
            user_id=message.user_id,
            recipient=message.email,
            facts=message.facts,
            digest=self._seal.digest(
                message.kind.value, message.user_id, message.email, secret.name, secret.code, *message.facts.values()
            ),
            status=MailStatus.QUEUED,
            attempts=0,
            created_at=now,
            due_at=now,
            expires_at=secret.expires_at,
        )
