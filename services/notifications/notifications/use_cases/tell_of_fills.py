"""Turn filled orders in the exchange's journal into notifications and mails."""

from collections.abc import Sequence

from chassis.errors import Unavailable
from chassis.journal_consumer import Entry
from chassis.logs import get_logger

from notifications.domain.order_fills import BatchFills
from notifications.use_cases.ports import FillRecords, Journal, TaskQueue

log = get_logger(__name__)


class TellOfFills:
    """The two halves a journal consumer asks for. A mail's task leaves once the rows are durable."""

    def __init__(self, *, journal: Journal, records: FillRecords, queue: TaskQueue) -> None:
        self._journal = journal
        self._records = records
        self._queue = queue
        self._fresh: dict[str, None] = {}

    async def read(self, after: int, limit: int) -> Sequence[Entry[BatchFills]]:
        # The consumer reads on right after each commit: here what `apply` wrote is durable.
        if self._fresh:
            fresh, self._fresh = self._fresh, {}
            await self._queue_mails(fresh)
        return await self._journal.read(after, limit)

    async def apply(self, entries: Sequence[Entry[BatchFills]]) -> None:
        """Database calls only; may run twice, so the tasks wait for the commit."""
        fills = [(fill, entry.payload.time) for entry in entries for fill in entry.payload.fills]
        if fills:
            self._fresh.update(dict.fromkeys(await self._records.add(fills)))

    async def _queue_mails(self, mail_ids: dict[str, None]) -> None:
        try:
            for mail_id in mail_ids:
                await self._queue.send_mail(mail_id)
        except Unavailable as error:
            # The rows are there; the sweep sends what the broker did not take.
            log.warning("Mails wait for the sweep", event="mails_wait", count=len(mail_ids), problem=error.reason)
