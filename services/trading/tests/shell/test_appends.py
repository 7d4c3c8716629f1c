"""Over a line of its own and over the driver's: the caller cannot tell, whatever becomes of the answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from bson.errors import InvalidDocument
from chassis.embedded.ports import free_port_block
from chassis.mongo import MongoConnection, connect
from chassis.testing.tcp_proxy import TcpProxy
from pymongo.errors import DocumentTooLarge
from trading.journal.store import AppendOutcomeUnknown, BatchNumberTaken
from trading.storage.appends import Appends
from trading.storage.wire_connection import WireConnection

LONG_SECONDS = 20.0
NOT_FOR_THE_LINE = "&timeoutMS=60000"


@pytest.fixture(params=["", NOT_FOR_THE_LINE], ids=["its own line", "the driver's"])
def further_options(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def line(
    mongo_url: str, mongo: MongoConnection, further_options: str
) -> AsyncIterator[tuple[MongoConnection, TcpProxy]]:
    server, port = urlsplit(mongo_url), free_port_block()
    proxy = TcpProxy(server.port or 27_017)
    async with proxy.serving(port):
        connection = connect(f"mongodb://127.0.0.1:{port}/?{server.query}{further_options}", mongo.database.name)
        yield connection, proxy
        await connection.close()


def appends_over(connection: MongoConnection, timeout_seconds: float = LONG_SECONDS) -> Appends:
    return Appends(connection, "journal", timeout_seconds=timeout_seconds)


async def numbers_in(connection: MongoConnection) -> list[int]:
    return sorted([document["_id"] async for document in connection.database["journal"].find({})])


async def test_the_line_is_its_own_where_the_url_allows_it(
    line: tuple[MongoConnection, TcpProxy], further_options: str
) -> None:
    assert appends_over(line[0]).has_own_line == (not further_options)


async def test_a_document_is_there_once_and_its_number_taken(
    line: tuple[MongoConnection, TcpProxy], mongo: MongoConnection
) -> None:
    appends = appends_over(line[0])
    await appends.insert({"_id": 1, "body": b"a"})
    with pytest.raises(BatchNumberTaken):
        await appends.insert({"_id": 1, "body": b"b"})
    await appends.insert({"_id": 2})
    assert await mongo.database["journal"].find_one({"_id": 1}) == {"_id": 1, "body": b"a"}
    assert await numbers_in(mongo) == [1, 2]
    appends.close()


async def test_a_lost_answer_leaves_the_outcome_open(
    line: tuple[MongoConnection, TcpProxy], mongo: MongoConnection
) -> None:
    connection, proxy = line
    appends = appends_over(connection)
    await appends.insert({"_id": 1})
    proxy.lose_answers()
    with pytest.raises(AppendOutcomeUnknown):
        await appends.insert({"_id": 2})
    assert await numbers_in(mongo) == [1, 2]
    with pytest.raises(BatchNumberTaken):
        await appends.insert({"_id": 2})
    appends.close()


@pytest.mark.parametrize("further_options", [""], ids=["its own line"])
async def test_a_late_answer_is_nobody_elses(line: tuple[MongoConnection, TcpProxy], mongo: MongoConnection) -> None:
    connection, proxy = line
    appends = appends_over(connection)
    await appends.insert({"_id": 1})
    impatient = asyncio.create_task(appends.insert({"_id": 1}))  # to be told that its number is taken
    proxy.hold()
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    proxy.let_go()
    await appends.insert({"_id": 2})
    assert await numbers_in(mongo) == [1, 2]
    appends.close()


async def test_no_answer_in_time_leaves_the_outcome_open(
    line: tuple[MongoConnection, TcpProxy], mongo: MongoConnection
) -> None:
    connection, proxy = line
    appends = appends_over(connection)
    await appends.insert({"_id": 1})
    hasty = appends_over(connection, timeout_seconds=0.3)
    await hasty.insert({"_id": 2})
    proxy.hold()
    with pytest.raises(AppendOutcomeUnknown) as unknown:
        async with asyncio.timeout(LONG_SECONDS):
            await hasty.insert({"_id": 3})
    assert str(unknown.value), "the log is to say what was heard"
    proxy.let_go()
    await appends.insert({"_id": 4})
    await hasty.insert({"_id": 5})
    assert {1, 2, 4, 5} <= set(await numbers_in(mongo))
    for each in (appends, hasty):
        each.close()


@pytest.mark.parametrize("further_options", [""], ids=["its own line"])
async def test_two_at_once_share_one_line(
    line: tuple[MongoConnection, TcpProxy], mongo: MongoConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[WireConnection] = []
    opens = WireConnection.open

    async def counted(*where: Any, name: str) -> WireConnection:
        opened.append(await opens(*where, name=name))
        return opened[-1]

    monkeypatch.setattr(WireConnection, "open", counted)
    appends = appends_over(line[0])
    await asyncio.gather(*(appends.insert({"_id": number}) for number in range(5)))
    assert len(opened) == 1
    assert await numbers_in(mongo) == [0, 1, 2, 3, 4]
    appends.close()


@pytest.mark.parametrize("further_options", [""], ids=["its own line"])  # the driver's is closed by who opened it
async def test_who_closes_leaves_the_insert_under_way_open(line: tuple[MongoConnection, TcpProxy]) -> None:
    connection, proxy = line
    appends = appends_over(connection)
    await appends.insert({"_id": 1})
    proxy.hold()
    waiting = asyncio.create_task(appends.insert({"_id": 2}))
    await asyncio.sleep(0.01)
    appends.close()
    with pytest.raises(AppendOutcomeUnknown):
        await waiting
    proxy.let_go()


async def test_what_cannot_be_sent_is_a_bug(line: tuple[MongoConnection, TcpProxy]) -> None:
    appends = appends_over(line[0])
    with pytest.raises(InvalidDocument):
        await appends.insert({"_id": 1, "body": object()})
    with pytest.raises(DocumentTooLarge):
        await appends.insert({"_id": 1, "body": bytes(17 * 1024 * 1024)})
    await appends.insert({"_id": 1})
    appends.close()
