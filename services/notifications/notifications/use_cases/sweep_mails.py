"""Find mails that got lost on the way and send them on."""

from chassis.clock import Clock
from chassis.logs import get_logger

from notifications.domain.mails import MailTrigger, Outcome
from notifications.use_cases.ports import MailPortions, Mails, TaskQueue

SWEEP_MAX = 500  # mails per sweep; a longer backlog takes several, oldest first

log = get_logger(__name__)


class SweepMails:
    """A queued mail whose task the broker never got, or lost, is queued again.

    Mails with a code cannot be: the code was in the lost task alone. They are closed once it has expired, and the
    person asks for a new one.
    """

    def __init__(self, *, mails: Mails, portions: MailPortions, queue: TaskQueue, clock: Clock) -> None:
        self._mails = mails
        self._portions = portions
        self._queue = queue
        self._clock = clock

    async def __call__(self) -> int:
        """How many mails were queued again. Raises Unavailable where the database or the broker is away: the next sweep
        finds them.
        """
        now = self._clock.now()
        again: list[str] = []
        expired: list[Outcome] = []
        for mail in await self._mails.lost(now, SWEEP_MAX):
            if mail.expires_at is None:
                again.append(mail.id)
            elif mail.expires_at <= now:
                expired.append(Outcome(mail_id=mail.id, trigger=MailTrigger.EXPIRED, reason="expired"))
        await self._portions.note(expired, now)
        # Marked first: what the broker does not take now is found again once it is overdue again.
        await self._mails.due_again(again, now)
        if again:
            await self._queue.send_mails(again)
            log.warning("Lost mails queued again", event="mails_requeued", count=len(again))
        return len(again)
