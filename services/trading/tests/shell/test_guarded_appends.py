"""Appends to a database that asks for a password over TLS, and that fails in its own ways."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chassis.embedded.ports import free_port_block
from chassis.mongo import MongoConnection, connect
from guarded_server import certificate_files, guarded_server
from trading.journal.store import AppendOutcomeUnknown
from trading.storage.appends import Appends
from trading.storage.wire_connection import WireConnection

TIMEOUT_SECONDS = 20.0
NOT_FOR_THE_LINE = "&timeoutMS=60000"
NOT_WRITABLE_PRIMARY = 10107
PRIMARY_STEPPED_DOWN = 189


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with guarded_server(free_port_block(), tmp_path_factory.mktemp("guarded")) as url:
        yield url


@pytest.fixture
async def guarded(url: str) -> AsyncIterator[MongoConnection]:
    connection = connect(url, "appends")
    await connection.database.drop_collection("journal")
    yield connection
    await connection.close()


def appends_over(connection: MongoConnection) -> Appends:
    return Appends(connection, "journal", timeout_seconds=TIMEOUT_SECONDS)


async def numbers_in(connection: MongoConnection) -> list[int]:
    return sorted([document["_id"] async for document in connection.database["journal"].find({})])


async def test_a_password_and_tls_are_spoken(guarded: MongoConnection) -> None:
    appends = appends_over(guarded)
    assert appends.has_own_line
    for number in (1, 2):
        await appends.insert({"_id": number})
    assert await numbers_in(guarded) == [1, 2]
    appends.close()


async def test_a_wrong_password_lets_nothing_in(guarded: MongoConnection) -> None:
    appends = appends_over(replace(guarded, url=guarded.url.replace("ann:p", "ann:q")))
    with pytest.raises(AppendOutcomeUnknown):
        await appends.insert({"_id": 1})
    assert await numbers_in(guarded) == []


async def test_a_server_whose_certificate_is_not_known_is_told_nothing(
    guarded: MongoConnection, tmp_path: Path
) -> None:
    known = guarded.url.partition("tlsCAFile=")[2]
    another = str(certificate_files(tmp_path)["authority"])
    appends = appends_over(replace(guarded, url=guarded.url.replace(known, another)))
    with pytest.raises(AppendOutcomeUnknown):
        await appends.insert({"_id": 1})
    assert await numbers_in(guarded) == []


@pytest.mark.parametrize(
    "failure",
    [
        {"errorCode": NOT_WRITABLE_PRIMARY},
        {"writeConcernError": {"code": PRIMARY_STEPPED_DOWN, "errmsg": "stepped down"}},
        {"closeConnection": True},
    ],
    ids=["not the primary", "stepped down meanwhile", "closes"],
)
@pytest.mark.parametrize("further_options", ["", NOT_FOR_THE_LINE], ids=["its own line", "the driver's"])
async def test_a_server_that_cannot_promise_leaves_the_outcome_open(
    guarded: MongoConnection, failure: dict[str, Any], further_options: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[WireConnection] = []
    opens = WireConnection.open

    async def counted(*where: Any, name: str) -> WireConnection:
        opened.append(await opens(*where, name=name))
        return opened[-1]

    monkeypatch.setattr(WireConnection, "open", counted)
    appends = appends_over(replace(guarded, url=guarded.url + further_options))
    await appends.insert({"_id": 1})
    fail = {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": {"failCommands": ["insert"]} | failure}
    await guarded.client.admin.command(fail)
    with pytest.raises(AppendOutcomeUnknown):
        await appends.insert({"_id": 2})
    await appends.insert({"_id": 3})
    assert {1, 3} <= set(await numbers_in(guarded))
    assert len(opened) == (0 if further_options else 2), "a line asks again who is the primary"
    appends.close()
