"""What the commands look into."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import click
from beanie import init_beanie
from chassis.cancellation import end_if_cancelled
from chassis.mongo import MongoConnection, connect

from trading.journal.batch import SealedBatch
from trading.settings import CommandLineSettings
from trading.storage.archive import JournalArchive
from trading.storage.documents import DOCUMENTS
from trading.storage.journal import MongoJournal
from trading.storage.snapshots import MongoSnapshots

BATCHES_PER_READ = 256


@dataclass(frozen=True, slots=True)
class OpenExchange:
    mongo: MongoConnection
    journal: MongoJournal
    snapshots: MongoSnapshots

    async def head(self) -> int:
        """The newest batch's number. Raises `JournalUnreachable`, `UsageError` where there is no journal at all."""
        head = await self.journal.head()
        if head == 0:
            # Of nothing all would be well.
            raise click.UsageError(
                f"The database {self.journal.database.name} has no journal: do CRYPTOVAULT_JOURNAL_URL and "
                "CRYPTOVAULT_MONGO_DATABASE name the exchange's?"
            )
        return head

    async def batches(self, after: int, last: int) -> AsyncIterator[SealedBatch]:
        """Those in (after, last]; fewer where the journal has a gap. Raises `JournalUnreachable`."""
        while after < last:
            found = await self.journal.read_after(after, min(BATCHES_PER_READ, last - after))
            if not found:
                return
            for batch in found:
                yield batch
                end_if_cancelled()  # Ctrl-C came while it was folded: the next read would swallow it
            after = found[-1].number


@asynccontextmanager
async def opened(settings: CommandLineSettings) -> AsyncIterator[OpenExchange]:
    mongo = connect(settings.required("mongo_url"), settings.database_name)
    journal_server = mongo
    if settings.journal_url is not None:
        journal_server = connect(settings.required("journal_url"), settings.database_name)
    journal = MongoJournal(journal_server, JournalArchive(mongo.database))
    try:
        # The indexes are the services' to make: a tool of another release must not exchange them.
        await init_beanie(database=mongo.database, document_models=list(DOCUMENTS), skip_indexes=True)
        yield OpenExchange(mongo, journal, MongoSnapshots(mongo.database))
    finally:
        await journal.close()
        for connection in {id(mongo): mongo, id(journal_server): journal_server}.values():
            await connection.close()
