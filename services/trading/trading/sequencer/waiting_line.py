"""What waits for the sequencer. Bounded: a command that would wait for longer than its deadline is better refused."""

import asyncio
from collections import deque

from trading.domain.commands import CancelAll, CancelOrder
from trading.sequencer.errors import QueueFull
from trading.sequencer.tickets import Ticket

WAITING_MAX = 4_096  # about one second of work
# Cancels are the last thing shed: they may still enter when orders no longer may.
WAITING_CANCELS_MAX = 2 * WAITING_MAX


class WaitingLine:
    """First in, first out. One consumer."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()
        self._something = asyncio.Event()

    def __len__(self) -> int:
        return len(self._tickets)

    def enter(self, ticket: Ticket) -> None:
        """Raises `QueueFull`."""
        cancels = isinstance(ticket.command, (CancelOrder, CancelAll))
        if len(self._tickets) >= (WAITING_CANCELS_MAX if cancels else WAITING_MAX):
            raise QueueFull
        self._tickets.append(ticket)
        self._something.set()

    def put_back(self, tickets: list[Ticket]) -> None:
        """To the front, in their order; they were accepted before, so no limit applies."""
        self._tickets.extendleft(reversed(tickets))
        if tickets:
            self._something.set()

    def take(self) -> Ticket | None:
        return self._tickets.popleft() if self._tickets else None

    def wake(self) -> None:
        """There is work that is no ticket."""
        self._something.set()

    async def wait(self) -> None:
        """Returns when something may wait; may return for nothing."""
        await self._something.wait()
        self._something.clear()

    def refuse_all(self, error: BaseException) -> None:
        while self._tickets:
            self._tickets.popleft().refuse(error)

    def refuse_overdue(self, now_milliseconds: int, error: BaseException) -> None:
        kept: deque[Ticket] = deque()
        for ticket in self._tickets:
            if 0 < ticket.deadline_milliseconds <= now_milliseconds:
                ticket.refuse(error)
            else:
                kept.append(ticket)
        self._tickets = kept
