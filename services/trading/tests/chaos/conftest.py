"""Lets the tests here import their helpers beside them: with pytest's importlib mode a test folder is on no path."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chassis.embedded.ports import free_port_block
from chassis.mongo import MongoDatabase
from local_stack.nursery.nursery import Nursery, can_fork

sys.path.insert(0, str(Path(__file__).parent))

from exchange_processes import PORTS, Processes
from price_server import PriceServer, started

pytest.register_assert_rewrite("order_load")  # its judgement says what differs

# Both programs, whole: they load for two seconds, and some of these tests start them twenty times.
LOADED = ("trading.bootstrap", "trading.projector.bootstrap")


@pytest.fixture(scope="session")
async def nursery(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Nursery]:
    if not can_fork():
        pytest.skip("no process can be forked here")
    folder = tmp_path_factory.mktemp("nursery")
    nursery = Nursery(LOADED, log_path=folder / "nursery.log", mark=str(folder))
    yield nursery
    nursery.close()


@pytest.fixture
async def prices() -> PriceServer:
    return PriceServer()  # type: ignore[abstract]  # prices are all


@pytest.fixture
async def processes(
    nursery: Nursery, prices: PriceServer, mongo_url: str, mongo_database: MongoDatabase, tmp_path: Path
) -> AsyncIterator[Processes]:
    """With somebody who tells prices; nothing else runs yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # one of them is a program of ours
        nursery.open()
    processes = Processes(nursery, mongo_url, mongo_database.name, free_port_block(PORTS), tmp_path)
    server = await started(prices, processes.prices_port)
    try:
        yield processes
    finally:
        await processes.stop_all()
        await server.stop(None)
