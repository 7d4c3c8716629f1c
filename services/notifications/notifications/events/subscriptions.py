"""What we consume from the bus."""

from collections.abc import Callable
from datetime import UTC

from chassis.events import Envelope
from chassis.subscriptions import Subscription
from cryptovault.auth.v1.events_pb2 import SecondFactorRemoved
from cryptovault.trading.v1.events_pb2 import JournalAdvanced

from notifications.use_cases.accept_notice import AcceptNotice


def journal_advanced(ring: Callable[[], None]) -> Subscription[JournalAdvanced]:
    """The bell: says only that it is worth looking."""

    async def handle(_envelope: Envelope[JournalAdvanced]) -> None:
        ring()

    return Subscription(queue="notifications.journal-advanced", event=JournalAdvanced, handler=handle)


def second_factor_removed(accept_notice: AcceptNotice) -> Subscription[SecondFactorRemoved]:
    """What an operator did to an account, for its owner. The event's id makes a repeat one mail."""

    async def handle(envelope: Envelope[SecondFactorRemoved]) -> None:
        event = envelope.event
        await accept_notice(
            event_id=envelope.id,
            user_id=event.user_id,
            notice="two_factor_removed",
            time=event.removed_at.ToDatetime(tzinfo=UTC),
        )

    return Subscription(queue="notifications.second-factor-removed", event=SecondFactorRemoved, handler=handle)
