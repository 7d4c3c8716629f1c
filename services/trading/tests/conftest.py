"""Fixtures of all tests of the exchange."""

from collections.abc import AsyncIterator

import pytest
from chassis.mongo import MongoConnection, init_documents
from trading.storage.documents import DOCUMENTS
from trading.storage.journal import MongoJournal


@pytest.fixture
async def mongo_journal(mongo: MongoConnection) -> AsyncIterator[MongoJournal]:
    """The real journal, empty, with the projection's documents beside it."""
    await init_documents(mongo.database, DOCUMENTS)
    journal = MongoJournal(mongo)
    await journal.prepare()
    yield journal
    await journal.close()
