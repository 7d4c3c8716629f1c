"""Lets the tests here import their helpers beside them: with pytest's importlib mode a test folder is on no path."""

import sys
from pathlib import Path

import pytest
from chassis.mongo import MongoDatabase, init_documents
from trading.storage.documents import DOCUMENTS
from trading.storage.journal import MongoJournal

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def mongo_journal(mongo_database: MongoDatabase) -> MongoJournal:
    """The real journal, empty, with the projection's documents beside it."""
    await init_documents(mongo_database, DOCUMENTS)
    journal = MongoJournal(mongo_database)
    await journal.prepare()
    return journal
