"""Lets the tests here import their helpers beside them: with pytest's importlib mode a test folder is on no path."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chassis.mongo import MongoConnection, init_documents
from trading.storage.documents import DOCUMENTS
from trading.storage.journal import MongoJournal

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def mongo_journal(mongo: MongoConnection) -> AsyncIterator[MongoJournal]:
    """The real journal, empty, with the projection's documents beside it."""
    await init_documents(mongo.database, DOCUMENTS)
    journal = MongoJournal(mongo)
    await journal.prepare()
    yield journal
    await journal.close()
