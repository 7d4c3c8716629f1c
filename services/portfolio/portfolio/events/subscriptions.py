"""What we consume from the bus."""

from collections.abc import Callable

from chassis.events import Envelope
from chassis.subscriptions import Subscription
from cryptovault.auth.v1 import events_pb2 as auth_events
from cryptovault.trading.v1 import events_pb2 as trading_events

from portfolio.use_cases.pay_practice_money import PayPracticeMoney


class NoUser(Exception):
    """An event that names nobody. Trying again cannot help, so it ends up parked."""


def user_verified(pay_practice_money: PayPracticeMoney | None) -> Subscription[auth_events.UserVerified]:
    """Needs no inbox: the effect is the ledger's, which remembers its key for ever.

    Where nobody is paid the event is taken all the same: it is a required one, so with no queue bound it would wait in
    its sender's outbox for ever, and every later event about the same user behind it.
    """

    async def handle(envelope: Envelope[auth_events.UserVerified]) -> None:
        if not envelope.event.user_id:
            raise NoUser(envelope.id)
        if pay_practice_money is not None:
            await pay_practice_money(envelope.event.user_id)

    return Subscription(queue="portfolio.user-verified", event=auth_events.UserVerified, handler=handle)


def journal_advanced(ring: Callable[[], None]) -> Subscription[trading_events.JournalAdvanced]:
    """The bell: says only that it is worth looking."""

    async def handle(_envelope: Envelope[trading_events.JournalAdvanced]) -> None:
        ring()

    return Subscription(queue="portfolio.journal-advanced", event=trading_events.JournalAdvanced, handler=handle)
