"""Lets the tests here import their helpers beside them: with pytest's importlib mode a test folder is on no path."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chassis.embedded.ports import free_port_block
from chassis.mongo import MongoDatabase

sys.path.insert(0, str(Path(__file__).parent))

from exchange_processes import PORTS, Processes


@pytest.fixture
async def processes(mongo_url: str, mongo_database: MongoDatabase, tmp_path: Path) -> AsyncIterator[Processes]:
    """With a price server; nothing else runs yet."""
    started = Processes(mongo_url, mongo_database.name, free_port_block(PORTS), tmp_path)
    try:
        started.start("prices", str(Path(__file__).parent / "price_server.py"), str(started.prices_port))
        yield started
    finally:
        started.stop_all()
