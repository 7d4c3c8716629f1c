"""Send one mail that was written down before."""

from chassis.clock import Clock

from notifications.domain.mails import Mail
from notifications.use_cases.attempt_mail import AttemptMail, report
from notifications.use_cases.ports import MailPortions, Mails, Seal, TaskQueue


class DeliverMail:
    """Claims the mail, tries to send it, and writes down what became of it.

    One worker sends a mail at a time. If it dies between the provider's answer and our note of it, the mail goes
    out twice: the provider has no key to tell a repeat by.
    """

    def __init__(
        self,
        *,
        mails: Mails,
        portions: MailPortions,
        attempt: AttemptMail,
        queue: TaskQueue,
        seal: Seal,
        clock: Clock,
    ) -> None:
        self._mails = mails
        self._portions = portions
        self._attempt = attempt
        self._queue = queue
        self._seal = seal
        self._clock = clock

    async def __call__(self, mail_id: str, sealed: str | None = None) -> None:
        """`sealed` holds the code, for mails that carry one.

        Raises:
            Unavailable: the database or the broker is away; the task has to be tried again.
        """
        claim = await self._mails.claim(mail_id, self._clock.now())
        if claim.mail is not None:
            await self._deliver(claim.mail, sealed)
        elif claim.wait_seconds is not None:
            # Another worker has it, or had it when it died. Look again when its claim is over.
            await self._later(mail_id, sealed, claim.wait_seconds)

    async def _deliver(self, mail: Mail, sealed: str | None) -> None:
        outcome = await self._attempt(mail, sealed)
        now = self._clock.now()
        await self._portions.note([outcome], now)
        if outcome.due_at is not None:
            await self._later(mail.id, sealed, (outcome.due_at - now).total_seconds())
        report(mail, outcome)

    async def _later(self, mail_id: str, sealed: str | None, delay_seconds: float) -> None:
        if sealed is None:
            await self._queue.send_mail(mail_id, delay_seconds=delay_seconds)
            return
        secret = self._seal.open(sealed, self._clock.now())
        if secret is not None:
            await self._queue.send_code(mail_id, sealed, expires_at=secret.expires_at, delay_seconds=delay_seconds)
