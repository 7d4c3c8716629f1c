"""Turn filled orders in the exchange's journal into notifications and mails."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.journal_consumer import Entry
from chassis.logs import get_logger

from notifications.domain.order_fills import BatchFills, OpenMail
from notifications.use_cases.ports import FillRecords, Journal, TaskQueue

# Between looks at the journal's end. A fold is a transaction and touches each trader's mail, so that under load one for
# each batch would cost the database several times as much, and nobody would be told sooner.
LOOK_SECONDS = 1.0
UNTRIED_MAX = 500  # mails that a start sends on; the sweep finds those of a longer backlog

Sleep = Callable[[float], Awaitable[None]]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Gathering:
    mail: OpenMail
    until: datetime


class TellOfFills:
    """The two halves a journal consumer asks for. What is filled for one person in the same moment is one mail.

    A mail is written down with its first order, and stays open for further ones for a while; then its task leaves. The
    consumer asks at least every two seconds, so that no mail waits for much longer than that. Where a read was full
    there is more, and it is read at once; at the journal's end it is looked at once a second, however often the bell
    rings.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        records: FillRecords,
        queue: TaskQueue,
        clock: Clock,
        gather: timedelta,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._records = records
        self._queue = queue
        self._clock = clock
        self._gather = gather
        self._sleep = sleep
        self._next_look: datetime | None = None
        # By mail: of what `apply` wrote it is not known yet whether it is durable.
        self._written: dict[str, OpenMail] = {}
        self._gathering: dict[str, _Gathering] = {}
        self._started = False

    async def read(self, after: int, limit: int) -> Sequence[Entry[BatchFills]]:
        # The consumer reads on soon after each commit: here what `apply` wrote is durable. Where it failed, a task
        # for a mail that does not exist does nothing.
        now = self._clock.now()
        self._take_over(now)
        due = [mail_id for mail_id, one in self._gathering.items() if one.until <= now]
        if not self._started:
            # Those that a process which was killed had gathered.
            due += await self._records.untried(now, UNTRIED_MAX)
            self._started = True
        await self._send(due)
        return await self._look(after, limit)

    async def apply(self, entries: Sequence[Entry[BatchFills]]) -> None:
        """Database calls only; may run twice, so the tasks wait for the commit."""
        fills = [(fill, entry.payload.time) for entry in entries for fill in entry.payload.fills]
        if fills:
            open_mails = {one.mail.user_id: one.mail for one in self._gathering.values()}
            changed = await self._records.add(fills, open_mails)
            self._written.update({mail.mail_id: mail for mail in changed})

    async def close(self) -> None:
        """Sends what was gathered so far. For the end, after the consumer has stopped."""
        self._take_over(self._clock.now())
        await self._send(list(self._gathering))

    async def _look(self, after: int, limit: int) -> Sequence[Entry[BatchFills]]:
        if self._next_look is not None:
            wait = min((self._next_look - self._clock.now()).total_seconds(), LOOK_SECONDS)  # clocks are set back
            if wait > 0:
                await self._sleep(wait)
        part = await self._journal.read(after, limit)
        self._next_look = self._clock.now() + timedelta(seconds=LOOK_SECONDS) if part.at_end else None
        return part.entries

    def _take_over(self, now: datetime) -> None:
        written, self._written = self._written, {}
        for mail_id, mail in written.items():
            known = self._gathering.get(mail_id)
            self._gathering[mail_id] = _Gathering(mail, known.until if known is not None else now + self._gather)

    async def _send(self, mail_ids: Sequence[str]) -> None:
        if not mail_ids:
            return
        for mail_id in mail_ids:
            self._gathering.pop(mail_id, None)
        try:
            await self._queue.send_mails(mail_ids)
        except Unavailable as error:
            # The rows are there; the sweep sends what the broker did not take.
            log.warning("Mails wait for the sweep", event="mails_wait", count=len(mail_ids), problem=error.reason)
