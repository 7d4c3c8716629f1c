"""The tickets of one batch, from when they were taken until they are answered."""

from collections.abc import Callable
from dataclasses import dataclass, field

from chassis.logs import get_logger

from trading.domain.outcomes import Repeat
from trading.sequencer.errors import OutcomeUnknown
from trading.sequencer.tickets import Committed, Ticket

log = get_logger(__name__)


@dataclass(slots=True)
class BatchWork:
    """What was taken, and what each came to."""

    taken: list[Ticket] = field(default_factory=list)
    done: list[tuple[Ticket, Committed]] = field(default_factory=list)
    refused: list[tuple[Ticket, BaseException]] = field(default_factory=list)
    repeats: list[tuple[Ticket, Repeat]] = field(default_factory=list)

    def prepare(self) -> None:
        """Build the replies; tells nobody."""
        for ticket, committed in self.done:
            _prepare_one(ticket, committed)

    def answer(self, answer_repeat: Callable[[Ticket, Repeat], None]) -> None:
        """The batch is durable."""
        for ticket, _ in self.done:
            ticket.answer()
        for ticket, error in self.refused:
            ticket.refuse(error)
        for ticket, repeat in self.repeats:
            answer_repeat(ticket, repeat)

    def refuse(self, error: BaseException) -> None:
        """The batch never was."""
        for ticket in self.taken:
            ticket.refuse(error)

    def refuse_overdue(self, now_milliseconds: int) -> None:
        """Nobody knows yet what becomes of the batch, and these have waited long enough."""
        for ticket in self.taken:
            if 0 < ticket.deadline_milliseconds <= now_milliseconds:
                ticket.refuse(OutcomeUnknown())


def _prepare_one(ticket: Ticket, committed: Committed) -> None:
    try:
        ticket.prepare(committed)
    except Exception as error:
        # The effect stands, whatever is wrong with its reply; the others' replies must not suffer.
        log.exception("Reply could not be built", event="reply_failed", batch=committed.batch)
        ticket.refuse(error)
