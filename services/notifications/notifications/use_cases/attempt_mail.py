"""One try to send a mail that was claimed before."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import ErrorKind, ServiceError
from chassis.logs import get_logger
from prometheus_client import Counter

from notifications.domain.mails import (
    TRIES_MAX,
    Mail,
    MailKind,
    MailTrigger,
    Outcome,
    display_name,
    pause_before_try,
)
from notifications.use_cases.ports import (
    Contact,
    Contacts,
    MailRefused,
    NoContact,
    Provider,
    ProviderBusy,
    Renderer,
    Seal,
    Secret,
)

MAILS = Counter("cryptovault_mails", "Mails by what became of a try", ["kind", "outcome"])
_WORDS = {
    MailTrigger.ACCEPTED: "sent",
    MailTrigger.POSTPONED: "postponed",
    MailTrigger.REFUSED: "refused",
    MailTrigger.EXPIRED: "expired",
}

log = get_logger(__name__)


class AttemptMail:
    """Finds the recipient, renders, sends, and says what became of it; whoever claimed the mail writes that down."""

    def __init__(self, *, contacts: Contacts, provider: Provider, renderer: Renderer, seal: Seal, clock: Clock) -> None:
        self._contacts = contacts
        self._provider = provider
        self._renderer = renderer
        self._seal = seal
        self._clock = clock

    async def __call__(self, mail: Mail, sealed: str | None = None) -> Outcome:
        """`sealed` holds the code, for mails that carry one."""
        if mail.attempts > TRIES_MAX:
            # Only tries that ended without an outcome get here: workers that died with this mail.
            return _closed(mail, MailTrigger.REFUSED, f"gave up after {TRIES_MAX} tries without an outcome")
        secret = self._seal.open(sealed, self._clock.now()) if sealed is not None else None
        if sealed is not None and secret is None:
            return _closed(mail, MailTrigger.EXPIRED, "expired")
        try:
            recipient, provider_id = await self._send(mail, secret)
        except ProviderBusy as busy:
            return self._postponed(mail, str(busy), busy.retry_after_seconds)
        except ServiceError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise
            return self._postponed(mail, error.reason, None)
        except (MailRefused, NoContact) as refusal:
            return _closed(mail, MailTrigger.REFUSED, f"{type(refusal).__name__}: {refusal}")
        return Outcome(mail_id=mail.id, trigger=MailTrigger.ACCEPTED, recipient=recipient, provider_id=provider_id)

    async def _send(self, mail: Mail, secret: Secret | None) -> tuple[str, str]:
        contact = await self._contact(mail, secret)
        name = display_name(contact.name)
        content = self._renderer.render(mail.kind, name=name, facts=_told(mail), secret=secret)
        provider_id = await self._provider.send(mail_id=mail.id, recipient=contact.email, name=name, content=content)
        return contact.email, provider_id

    async def _contact(self, mail: Mail, secret: Secret | None) -> Contact:
        if mail.recipient is not None:
            return Contact(mail.recipient, secret.name if secret is not None else "")
        return await self._contacts.find(mail.user_id)

    def _postponed(self, mail: Mail, problem: str, retry_after_seconds: float | None) -> Outcome:
        now = self._clock.now()
        if mail.attempts >= TRIES_MAX:
            return _closed(mail, MailTrigger.REFUSED, f"gave up after {mail.attempts} tries: {problem}")
        pause = pause_before_try(mail.attempts)
        if retry_after_seconds is not None:
            pause = max(pause, timedelta(seconds=retry_after_seconds))
        if mail.expires_at is not None and now + pause >= mail.expires_at:
            return _closed(mail, MailTrigger.EXPIRED, f"expired before the next try: {problem}")
        return Outcome(mail_id=mail.id, trigger=MailTrigger.POSTPONED, reason=problem, due_at=now + pause)


def report(mail: Mail, outcome: Outcome) -> None:
    """For those who watch: once it is written down."""
    MAILS.labels(mail.kind.value, _WORDS[outcome.trigger]).inc()
    facts = {"mail_id": mail.id, "kind": mail.kind.value, "attempts": mail.attempts}
    match outcome.trigger:
        case MailTrigger.ACCEPTED:
            log.info("Mail sent", event="mail_sent", **facts)
        case MailTrigger.POSTPONED:
            log.warning("Mail postponed", event="mail_postponed", until=outcome.due_at, problem=outcome.reason, **facts)
        case _:
            log.error("Mail failed", event="mail_failed", problem=outcome.reason, **facts)


def _closed(mail: Mail, trigger: MailTrigger, reason: str) -> Outcome:
    return Outcome(mail_id=mail.id, trigger=trigger, reason=reason)


def _told(mail: Mail) -> dict[str, object]:
    if mail.kind is not MailKind.ORDER_FILLED:
        return dict(mail.facts)
    return {**mail.facts, "orders": [mail.facts, *mail.other_orders], "unlisted_orders": mail.unlisted_orders}
