"""The journal's server dies by SIGKILL at an append. The same leader finds out what became of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from chassis.embedded.mongo import MongoServer
from chassis.embedded.ports import free_port_block, is_free
from chassis.mongo import MongoConnection, connect
from chassis.testing import eventually
from chassis.testing.tcp_proxy import Moment, TcpProxy
from exchange_processes import (
    ORDERS_BETWEEN,
    START_SECONDS_MAX,
    Processes,
    advances,
    pay_everybody,
)
from order_load import check_outcomes, loaded
from trading.storage.journal import COLLECTION, MongoJournal
from trading.storage.price_notes import COLLECTION as PRICE_NOTES
from whole_journal import read_whole_journal

LEASE_SECONDS = 60.0  # longer than any outage here: nobody else may find out
APPEND = bson.encode({"insert": COLLECTION})[4:-1]  # with nothing around it
WIRE_HEADER_BYTES = 21  # of a message with one document
# Beyond an order's deadline, whose caller is told that nobody knows yet; and as short as may be.
OUTAGES_SECONDS = (2.2, 0.0)
PAUSE_SECONDS = 0.0005  # an append takes a millisecond or two


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MongoServer]:
    """For the journal alone, as on every platform."""
    with MongoServer(port=free_port_block(), folder=tmp_path / "journal") as server:
        yield server


@pytest.fixture
async def journal(processes: Processes, server: MongoServer) -> AsyncIterator[MongoConnection]:
    connection = connect(server.url, processes.database)
    yield connection
    await connection.close()


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("moment", "durable"), [(Moment.SENT, {False}), (Moment.PASSED_ON, {False, True}), (Moment.ANSWERED, {True})]
)
async def test_an_append_at_which_the_database_died_is_done_once_and_told_truly(
    processes: Processes,
    server: MongoServer,
    journal: MongoConnection,
    *,
    moment: Moment,
    durable: set[bool],
    times: int,
) -> None:
    processes.lease_seconds = LEASE_SECONDS
    proxy, port = TcpProxy(server.port), processes.ports + 4
    appended: list[dict[str, Any]] = []
    async with proxy.serving(port):
        await processes.start_trading(journal_url=server.url.replace(str(server.port), str(port)))
        await processes.start_projector(journal_url=server.url)
        await pay_everybody(processes.trading_address)
        async with loaded(processes.trading_address, patience_seconds=START_SECONDS_MAX) as load:
            await eventually(lambda: is_complete(journal), START_SECONDS_MAX)
            for hit in range(times):
                await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
                died = proxy.trap(APPEND, moment, server.kill, pause_seconds=hit * PAUSE_SECONDS)
                batch = in_append(await asyncio.wait_for(died, START_SECONDS_MAX))
                assert is_free(server.port)
                proxy.hold()
                await asyncio.sleep(OUTAGES_SECONDS[hit % 2])
                await start(server)
                # Before the leader can ask.
                found = await MongoJournal(journal).read(batch["_id"])
                assert (found is not None) in durable
                proxy.let_go()
                appended.append(batch)
        assert processes.running["trading"].returncode is None
    assert processes.events("trading").count("append_outcome_unknown") >= times
    for batch in appended:
        assert await journal.database[COLLECTION].find_one({"_id": batch["_id"]}) == batch
    check_outcomes(load, await read_whole_journal(journal))


async def is_complete(journal: MongoConnection) -> bool:
    """True with the last collection that the exchange makes there: see `MongoServer` for a death while one is made."""
    return PRICE_NOTES in await journal.database.list_collection_names()


def in_append(message: bytes) -> dict[str, Any]:
    (document,) = bson.decode(message[WIRE_HEADER_BYTES:])["documents"]
    return dict(document)


async def start(server: MongoServer) -> None:
    server.launch()
    await asyncio.to_thread(server.wait_ready)
