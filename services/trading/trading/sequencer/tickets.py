"""A command on its way through the sequencer, and what it may come to."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from trading.domain.commands import Command
from trading.domain.events import Event, NotCancelled
from trading.domain.queries import Balance
from trading.journal.history import OrderView


class Committed(NamedTuple):
    """A command's effect; durable by the time `Ticket.answer` is called.

    `order` is the order that was placed or cancelled, as the command left it, `events` hold its fills, `balances` are
    the actor's in its market's two assets. `order_ids` are those that a cancel of many closed, `not_cancelled` those
    that it had to leave. `replayed`: an earlier command with the same key had the effect; all but `batch` is as it was
    told then.
    """

    batch: int
    time_milliseconds: int
    events: Sequence[Event] = ()
    order: OrderView | None = None
    balances: Sequence[Balance] = ()
    order_ids: tuple[str, ...] = ()
    not_cancelled: tuple[NotCancelled, ...] = ()
    transfer_id: str = ""
    replayed: bool = False


class Ticket(Protocol):
    """Answered exactly once: `prepare` then `answer`, or `refuse`."""

    command: Command
    deadline_milliseconds: int  # of the wall clock; 0 is none
    cleared_batch: int  # the projection, having folded this batch, did not know the command's keys; -1: not asked

    def prepare(self, outcome: Committed) -> None:
        """Build the reply, while the batch is still on its way to the disk. Tells nobody."""
        ...

    def answer(self) -> None:
        """Send what was prepared."""
        ...

    def refuse(self, error: BaseException) -> None:
        """Send an error instead; also after `prepare`, where the outcome is not known. Ignored after an answer."""
        ...


def user_of(command: Command) -> str:
    """Empty where no user asks."""
    actor = getattr(command, "actor", None)
    return "" if actor is None else str(actor.user_id)
