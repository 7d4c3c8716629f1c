"""A user's fills in pages: those that the rows have, each once, newest first, at the cost of a page."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from chassis.errors import InvalidArgument
from chassis.mongo import MongoDatabase
from cryptovault.trading.v1 import trading_pb2
from shell_factory import PRICE, UNIT, Shell, buy_for, cancel, limit, running_shell
from trading.domain.markets import Market
from trading.domain.orders import Side
from trading.journal.batch import SealedBatch
from trading.journal.store import HistoryArchived
from trading.projector import fill_reader
from trading.projector.fill_reader import EVENTS_PER_READ, FillReader, fill_of_row
from trading.projector.projector import Projector
from trading.storage.documents import OrderDocument
from trading.storage.journal import MongoJournal
from trading.storage.order_queries import OrderQueries
from trading.storage.projection import Projection

ETH = "ETH-USD"


class CountingJournal:
    """The journal, and how many events it was asked for."""

    def __init__(self, journal: MongoJournal) -> None:
        self._journal = journal
        self.asked = 0
        self.lost: set[int] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    async def of_user(self, user_id: str, sequences: Sequence[int]) -> list[SealedBatch]:
        self.asked += len(sequences)
        return [batch for batch in await self._journal.of_user(user_id, sequences) if batch.number not in self.lost]


class Read:
    def __init__(self, shell: Shell, journal: CountingJournal, reader: FillReader) -> None:
        self.shell = shell
        self.journal = journal
        self.reader = reader

    async def everything(self, size: int, *, market: str = "", order_id: str = "") -> list[trading_pb2.Fill]:
        found: list[trading_pb2.Fill] = []
        cursor = ""
        while True:
            page = await self.reader.page("ann", market=market, order_id=order_id, limit=size, cursor=cursor)
            assert len(page.fills) <= size
            found += page.fills
            cursor = page.next_cursor
            if not cursor:
                return found

    def market(self, symbol: str) -> Market:
        return self.shell.state.markets[symbol].market

    async def in_the_rows(self, **query: str) -> list[trading_pb2.Fill]:
        documents = await OrderDocument.find({"user_id": "ann", **query}).to_list()
        fills = [(fill.number, document, fill) for document in documents for fill in document.fills]
        fills.sort(key=lambda one: one[0], reverse=True)
        return [fill_of_row(document, fill, self.market(document.trading_pair)) for _, document, fill in fills]


@pytest.fixture
async def read(mongo_journal: MongoJournal, mongo_database: MongoDatabase) -> AsyncIterator[Read]:
    projector = Projector(mongo_journal, Projection(mongo_database))
    await projector.catch_up()
    following = asyncio.create_task(projector.run())
    journal = CountingJournal(mongo_journal)
    async with running_shell(mongo_journal) as shell:
        await trade(shell)
        assert await projector.stored(shell.state.batch_number, 20)
        reader = FillReader(
            journal=journal, queries=OrderQueries(projector.unwritten, projector.owner), projector=projector
        )  # type: ignore[arg-type]
        yield Read(shell, journal, reader)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def trade(shell: Shell) -> None:
    """Ann makes and takes in two markets, cancels much, and one old order of hers fills in parts until the end."""
    for user in ("ann", "bob"):
        await shell.deposit(user, "USD", 100_000 * UNIT)
        await shell.deposit(user, "BTC", 10 * UNIT)
    shell.tick(2_000 * UNIT, ETH)
    old = limit("ann", Side.BUY, UNIT // 10, PRICE - 20 * UNIT)
    await shell.send(old)
    for step in range(30):
        shell.clock.advance(1)
        shell.tick()
        shell.tick(2_000 * UNIT, ETH)
        await asyncio.gather(
            shell.send(buy_for("ann", 50 * UNIT)), shell.send(limit("bob", Side.SELL, UNIT // 1000, PRICE - 20 * UNIT)),
            shell.send(buy_for("ann", 50 * UNIT)._replace(market=ETH)),
        )  # fmt: skip
        if step % 3 == 0:
            resting = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 500 * UNIT))
            assert resting.order is not None
            await shell.send(cancel("ann", resting.order.order_id))


async def test_pages_of_fills_are_those_of_the_rows_each_once_and_newest_first(read: Read) -> None:
    expected = await read.in_the_rows()
    assert len(expected) == 90
    for size in (1, 7, 50, 200):
        assert await read.everything(size) == expected
    bitcoin = await read.in_the_rows(trading_pair="BTC-USD")
    assert 0 < len(bitcoin) < len(expected)
    assert await read.everything(7, market="BTC-USD") == bitcoin
    assert await read.everything(50, market="SOL-USD") == []


async def test_fills_of_one_order_are_its_rows(read: Read) -> None:
    (old,) = [order.order_id for order in read.shell.state.orders.values()]
    expected = await read.in_the_rows(_id=old)
    assert len(expected) == 30
    assert await read.everything(7, order_id=old) == expected
    assert await read.everything(7, order_id=old, market=ETH) == []
    assert await read.everything(7, order_id="nobody's") == []


async def test_a_page_costs_a_page_however_many_orders_there_were(read: Read) -> None:
    first = await read.reader.page("ann", market="", order_id="", limit=10, cursor="")
    assert read.journal.asked <= EVENTS_PER_READ
    deep = await read.reader.page("ann", market="", order_id="", limit=10, cursor=first.next_cursor)
    assert read.journal.asked <= 2 * EVENTS_PER_READ
    assert not {fill.id for fill in first.fills} & {fill.id for fill in deep.fills}


async def test_a_page_looks_at_so_many_events_and_no_more(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill_reader, "EVENTS_PER_PAGE_MAX", 16)
    expected = await read.in_the_rows(trading_pair=ETH)
    page = await read.reader.page("ann", market=ETH, order_id="", limit=200, cursor="")
    assert read.journal.asked == 16
    assert 0 < len(page.fills) < len(expected)
    assert page.next_cursor
    # Wherever a page ends, the next one goes on.
    for events in (16, 3, 2, 1):
        monkeypatch.setattr(fill_reader, "EVENTS_PER_PAGE_MAX", events)
        assert await read.everything(200, market=ETH) == expected, events


async def test_what_the_journal_no_longer_has_is_not_passed_over(read: Read) -> None:
    read.journal.lost = {read.shell.state.batch_number - 2}
    with pytest.raises(HistoryArchived):
        await read.everything(50)


@pytest.mark.parametrize("cursor", ["x", "-1", "1.0", "٣", "1" * 19, "0", "07", "1_0", "1\n"])
async def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    nothing: Any = None
    reader = FillReader(journal=nothing, queries=nothing, projector=nothing)
    with pytest.raises(InvalidArgument):
        await reader.page("ann", market="", order_id="", limit=7, cursor=cursor)
