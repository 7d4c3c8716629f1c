"""A ticket that one coroutine waits for."""

import asyncio

from trading.domain.commands import Command
from trading.sequencer.tickets import Committed


class FutureTicket:
    """`await ticket.outcome` gives the outcome or raises why there is none."""

    def __init__(self, command: Command, deadline_milliseconds: int = 0) -> None:
        self.command = command
        self.deadline_milliseconds = deadline_milliseconds
        self.cleared_batch = -1
        self.outcome: asyncio.Future[Committed] = asyncio.get_running_loop().create_future()
        self._prepared: Committed | None = None

    def prepare(self, outcome: Committed) -> None:
        self._prepared = outcome

    def answer(self) -> None:
        if self._prepared is not None and not self.outcome.done():
            self.outcome.set_result(self._prepared)

    def refuse(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)
