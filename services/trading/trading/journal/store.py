"""What the sequencer and the projector need of the journal's storage."""

from collections.abc import Sequence
from typing import Protocol

from chassis.errors import ErrorKind, ServiceError

from trading.journal.batch import SealedBatch


class BatchNumberTaken(Exception):
    """That number holds a batch already: perhaps ours, whose answer was lost, perhaps another writer's."""


class AppendOutcomeUnknown(Exception):
    """The append may or may not have happened, or may still happen. Only reading that batch tells.

    Its text is for the log: what was heard instead of an answer.
    """


class JournalUnreachable(Exception):
    """A read had no answer. Nothing is known; ask again."""


class HistoryArchived(ServiceError):
    """Batches that the answer needs are archived, and their volume is not at hand."""

    kind = ErrorKind.NOT_FOUND
    reason = "history_archived"

    def __init__(self) -> None:
        super().__init__("What happened then is archived and cannot be read here.")


class Journal(Protocol):
    """Batches 1, 2, 3, ... without gap; once durable, never changed.

    Old ones may be archived, which readers do not notice, unless a volume is gone: `HistoryArchived`.
    """

    async def append(self, batch: SealedBatch) -> None:
        """Returns when the batch is durable: on a majority, journaled.

        Raises:
            BatchNumberTaken: the number is in use.
            AppendOutcomeUnknown: anything else that the database or the way to it says.
        """
        ...

    async def read(self, number: int) -> SealedBatch | None:
        """That batch, linearizable: if it answers None, no earlier append of that number is durable.

        Raises:
            JournalUnreachable: no answer.
        """
        ...

    async def read_after(self, number: int, limit: int) -> list[SealedBatch]:
        """Up to `limit` durable batches that follow `number` without gap.

        Raises:
            JournalUnreachable: no answer.
        """
        ...

    async def of_user(self, user_id: str, sequences: Sequence[int]) -> list[SealedBatch]:
        """The batches that hold those events of that user, oldest first.

        Raises:
            JournalUnreachable: no answer.
        """
        ...
