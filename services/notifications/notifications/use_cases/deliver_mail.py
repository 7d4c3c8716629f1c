"""Send one mail that was written down before."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import ErrorKind, ServiceError
from chassis.logs import get_logger
from prometheus_client import Counter

from notifications.domain.mails import TRIES_MAX, Mail, display_name, pause_before_try
from notifications.use_cases.ports import (
    Contact,
    Contacts,
    MailRefused,
    Mails,
    NoContact,
    Provider,
    ProviderBusy,
    Renderer,
    Seal,
    Secret,
    TaskQueue,
)

MAILS = Counter("cryptovault_mails", "Mails by what became of a try", ["kind", "outcome"])

log = get_logger(__name__)


class DeliverMail:
    """Claims the mail, finds its recipient, renders, sends, and writes down what became of it.

    One worker sends a mail at a time. If it dies between the provider's answer and our note of it, the mail goes
    out twice: the provider has no key to tell a repeat by.
    """

    def __init__(
        self,
        *,
        mails: Mails,
        contacts: Contacts,
        provider: Provider,
        renderer: Renderer,
        queue: TaskQueue,
        seal: Seal,
        clock: Clock,
    ) -> None:
        self._mails = mails
        self._contacts = contacts
        self._provider = provider
        self._renderer = renderer
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
        if mail.attempts > TRIES_MAX:
            # Only tries that ended without an outcome get here: workers that died with this mail.
            await self._fail(mail, f"gave up after {TRIES_MAX} tries without an outcome", outcome="refused")
            return
        secret = self._seal.open(sealed, self._clock.now()) if sealed is not None else None
        if sealed is not None and secret is None:
            await self._fail(mail, "expired", outcome="expired")
            return
        try:
            recipient, provider_id = await self._send(mail, secret)
        except ProviderBusy as busy:
            await self._postpone(mail, sealed, str(busy), busy.retry_after_seconds)
        except ServiceError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            await self._postpone(mail, sealed, error.reason, None)
        except (MailRefused, NoContact) as refusal:
            await self._fail(mail, f"{type(refusal).__name__}: {refusal}", outcome="refused")
        else:
            await self._mails.sent(mail.id, self._clock.now(), recipient=recipient, provider_id=provider_id)
            MAILS.labels(mail.kind.value, "sent").inc()
            log.info("Mail sent", event="mail_sent", mail_id=mail.id, kind=mail.kind.value, attempts=mail.attempts)

    async def _send(self, mail: Mail, secret: Secret | None) -> tuple[str, str]:
        contact = await self._contact(mail, secret)
        name = display_name(contact.name)
        content = self._renderer.render(mail.kind, name=name, facts=mail.facts, secret=secret)
        provider_id = await self._provider.send(mail_id=mail.id, recipient=contact.email, name=name, content=content)
        return contact.email, provider_id

    async def _contact(self, mail: Mail, secret: Secret | None) -> Contact:
        if mail.recipient is not None:
            return Contact(mail.recipient, secret.name if secret is not None else "")
        return await self._contacts.find(mail.user_id)

    async def _postpone(self, mail: Mail, sealed: str | None, problem: str, retry_after_seconds: float | None) -> None:
        now = self._clock.now()
        if mail.attempts >= TRIES_MAX:
            await self._fail(mail, f"gave up after {mail.attempts} tries: {problem}", outcome="refused")
            return
        pause = pause_before_try(mail.attempts)
        if retry_after_seconds is not None:
            pause = max(pause, timedelta(seconds=retry_after_seconds))
        if mail.expires_at is not None and now + pause >= mail.expires_at:
            await self._fail(mail, f"expired before the next try: {problem}", outcome="expired")
            return
        await self._mails.postponed(mail.id, now, until=now + pause, reason=problem)
        await self._later(mail.id, sealed, pause.total_seconds())
        MAILS.labels(mail.kind.value, "postponed").inc()
        log.warning(
            "Mail postponed",
            event="mail_postponed",
            mail_id=mail.id,
            attempts=mail.attempts,
            pause_seconds=pause.total_seconds(),
            problem=problem,
        )

    async def _later(self, mail_id: str, sealed: str | None, delay_seconds: float) -> None:
        if sealed is None:
            await self._queue.send_mail(mail_id, delay_seconds=delay_seconds)
            return
        secret = self._seal.open(sealed, self._clock.now())
        if secret is not None:
            await self._queue.send_code(mail_id, sealed, expires_at=secret.expires_at, delay_seconds=delay_seconds)

    async def _fail(self, mail: Mail, reason: str, *, outcome: str) -> None:
        await self._mails.failed(mail.id, self._clock.now(), reason=reason)
        MAILS.labels(mail.kind.value, outcome).inc()
        log.error("Mail failed", event="mail_failed", mail_id=mail.id, kind=mail.kind.value, problem=reason)
