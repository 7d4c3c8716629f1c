"""What we consume from the bus."""

from collections.abc import Callable

from chassis.events import Envelope
from chassis.subscriptions import Subscription
from cryptovault.trading.v1.events_pb2 import JournalAdvanced


def journal_advanced(ring: Callable[[], None]) -> Subscription[JournalAdvanced]:
    """The bell: says only that it is worth looking."""

    async def handle(_envelope: Envelope[JournalAdvanced]) -> None:
        ring()

    return Subscription(queue="notifications.journal-advanced", event=JournalAdvanced, handler=handle)
