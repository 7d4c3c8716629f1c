"""Send a portion of mails that nobody waits for."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from chassis.clock import Clock

from notifications.domain.mails import Mail, Outcome
from notifications.use_cases.attempt_mail import AttemptMail, report
from notifications.use_cases.ports import MailPortions, TaskQueue


class DeliverMails:
    """As DeliverMail, for several at once: one transaction claims them, one writes down what became of them.

    A worker that dies in between sends again what it had sent of the portion.
    """

    def __init__(self, *, portions: MailPortions, attempt: AttemptMail, queue: TaskQueue, clock: Clock) -> None:
        self._portions = portions
        self._attempt = attempt
        self._queue = queue
        self._clock = clock

    async def __call__(self, mail_ids: Sequence[str]) -> None:
        """Raises Unavailable: the database or the broker is away; the task has to be tried again."""
        claims = await self._portions.claim(mail_ids, self._clock.now())
        mails = [claim.mail for claim in claims.values() if claim.mail is not None]
        tried = await asyncio.gather(*map(self._attempt, mails), return_exceptions=True)
        outcomes = {
            mail.id: outcome for mail, outcome in zip(mails, tried, strict=True) if isinstance(outcome, Outcome)
        }
        now = self._clock.now()
        await self._portions.note(list(outcomes.values()), now)
        # From here on each goes its own way.
        for mail_id, claim in claims.items():
            if claim.wait_seconds is not None:
                await self._queue.send_mail(mail_id, delay_seconds=claim.wait_seconds)
        for mail in mails:
            if mail.id in outcomes:
                await self._end(mail, outcomes[mail.id], now)
        for error in tried:
            # What goes wrong with one mail by a bug of ours keeps none of the others.
            if isinstance(error, BaseException):
                raise error

    async def _end(self, mail: Mail, outcome: Outcome, now: datetime) -> None:
        if outcome.due_at is not None:
            await self._queue.send_mail(mail.id, delay_seconds=(outcome.due_at - now).total_seconds())
        report(mail, outcome)
