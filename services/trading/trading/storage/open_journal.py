"""Where the journal is: in the service's database, or on a server of its own."""

from typing import TypeVar

from chassis.mongo import connect
from chassis.service import Runtime

from trading.settings import JournalSettings
from trading.storage.archive import JournalArchive
from trading.storage.journal import MongoJournal

S = TypeVar("S", bound=JournalSettings)


async def open_journal(runtime: Runtime[S]) -> MongoJournal:
    """Not ready while the journal's server does not answer."""
    settings = runtime.settings
    if settings.journal_url is None:
        mongo = await runtime.mongo()
    else:
        mongo = connect(settings.required("journal_url"), settings.database_name)
        runtime.on_stop(mongo.close)
        runtime.readiness("journal", mongo.ping)
    journal = MongoJournal(mongo, JournalArchive((await runtime.mongo()).database))
    runtime.on_stop(journal.close)
    await journal.prepare()
    return journal
