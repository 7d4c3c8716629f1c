"""Commands that come as a call of their own: who asks, and the answer once it is durable."""

from typing import Any

from chassis.identity import current_caller

from trading.domain.commands import Actor, Command
from trading.sequencer.future_ticket import FutureTicket
from trading.sequencer.journal_time import JournalTime
from trading.sequencer.sequencer import Sequencer
from trading.sequencer.tickets import Committed

COMMAND_SECONDS_MAX = 2.0


def actor_of_caller(business_key: str = "") -> Actor:
    """Whom the audit trail names. A service that acts on its own, without a request behind it, is traced by the
    business key.
    """
    caller = current_caller()
    return Actor(
        caller.user_id or "",
        caller.session_id or caller.service,
        caller.request_id or business_key,
        caller.address or "",
    )


async def enter(sequencer: Sequencer, time: JournalTime, command: Command, context: Any) -> Committed:
    """Raises why it was refused, and `DeadlinePassed` or `OutcomeUnknown` where the call's time is over."""
    remaining = min(context.time_remaining() or COMMAND_SECONDS_MAX, COMMAND_SECONDS_MAX)
    ticket = FutureTicket(command, time.wall() + int(remaining * 1000))
    sequencer.enter(ticket)
    return await ticket.outcome
