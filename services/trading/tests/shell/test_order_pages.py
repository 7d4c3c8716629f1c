"""Pages of orders: whole, in order, and cheap for the database however many orders there are."""

import random
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from chassis.errors import InvalidArgument
from chassis.mongo import CODEC_OPTIONS, MongoConnection, MongoDatabase, init_documents
from pymongo import AsyncMongoClient, monitoring
from shell_factory import PRICE, UNIT, limit
from trading.domain.moments import MOMENT_MAX
from trading.domain.orders import Side
from trading.domain.state import ExchangeState, Owner
from trading.journal.batch import user_key
from trading.storage import order_queries, time_windows
from trading.storage.balance_points import EVENTS_PER_POINT, BalancePointDocument, BalancePoints
from trading.storage.documents import DOCUMENTS, OrderDocument, TapeDocument
from trading.storage.history import MongoHistory
from trading.storage.order_queries import OrderQueries
from trading.storage.rows import Row
from trading.storage.tape import Tape, tape_id
from trading.storage.unwritten import Unwritten

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
INDEXED = ({"user_id"}, {"user_id", "created_at"}, {"user_id", "idempotency_key"}, {"user_id", "client_order_id"})
EVENTS = 2  # of an order here: it is placed and cancelled in one batch


def order(user: str, number: int, time: datetime, market: str = "BTC-USD") -> Row:
    name, nothing = f"{user}-{number:06}", Decimal128("0.00")
    return {
        "_id": name, "id": name, "user_id": user, "trading_pair": market, "order_type": "limit", "side": "buy",
        "amount": Decimal128("1.00"), "quote_amount": None, "price": Decimal128("1.00"), "status": "cancelled",
        "created_at": time, "filled_at": None, "updated_at": time, "time_in_force": "gtc", "post_only": False,
        "fingerprint": "", "filled_amount": nothing, "filled_quote_amount": nothing, "fees": nothing,
        "close_reason": "user", "placed_batch": number, "batch": number, "fills": [],
    }  # fmt: skip


def points(user: str, times: Sequence[datetime]) -> list[Row]:
    """Of a user whose events were then."""
    return [
        {
            "_id": user_key(user, sequence), "user_id": user, "sequence": sequence, "time": times[sequence - 1],
            "batch": sequence, "balances": [],
        }
        for sequence in range(EVENTS_PER_POINT, len(times) + 1, EVENTS_PER_POINT)
    ]  # fmt: skip


def place(row: Row) -> tuple[datetime, str]:
    return row["created_at"], row["_id"]


class World:
    """What users have, some of it in the database and some in the projector's memory."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self.owners: dict[str, Owner] = {}
        self.unwritten = Unwritten()
        self.queries = OrderQueries(self.unwritten, self.owners.get)

    async def add(self, user: str, rows: Sequence[Row], *, stored: Sequence[Row], point_share: float = 1.0) -> None:
        events = sorted(row["created_at"] for row in rows for _ in range(EVENTS))
        self.owners[user] = Owner(f"user:{user}", user, sequence=len(events))
        for row in rows:
            self.unwritten.pending.new_orders[row["_id"]] = row
        for row in stored:
            self.unwritten.pending.new_orders.pop(row["_id"])
        found = [point for point in points(user, events) if random.random() < point_share]
        await self._insert(OrderDocument.Settings.name, stored)
        await self._insert(BalancePointDocument.Settings.name, found)

    async def place_newer(self, row: Row) -> None:
        await self._insert(OrderDocument.Settings.name, [row])
        self.owners[row["user_id"]].sequence += EVENTS

    async def _insert(self, collection: str, rows: Sequence[Row]) -> None:
        if rows:
            await self._database.get_collection(collection).insert_many(rows, ordered=False)


@pytest.fixture
async def world(mongo: MongoConnection) -> World:
    await init_documents(mongo.database, DOCUMENTS)
    return World(mongo.database)


@pytest.mark.parametrize("seed", range(12))
async def test_pages_skip_and_repeat_nothing_while_new_orders_come(
    world: World, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random.seed(seed)
    monkeypatch.setattr(time_windows, "EVENTS_PER_WINDOW_MAX", 2 * EVENTS_PER_POINT)
    monkeypatch.setattr(order_queries, "ROWS_PER_PAGE_MAX", 40)
    # Bursts of equal times and long silences.
    moments = [NOON - timedelta(milliseconds=random.choice((0, 1, 2, 10**6, 10**10))) for _ in range(20)]
    moments += [NOON - timedelta(days=number) for number in range(seed % 4 * 10)]
    times = sorted(random.choice(moments) for _ in range(random.choice((3, 40, 250))))
    rows = [order("ann", n, time, random.choice(("BTC-USD", "ETH-USD"))) for n, time in enumerate(times)]
    stored = rows[: len(rows) - random.choice((0, 2, 30))]
    await world.add("ann", rows, stored=stored, point_share=random.choice((1, 1, 0.5)))
    for question, market in enumerate(("", "ETH-USD", "SOL-USD"), start=1):
        expected = sorted((place(row) for row in rows if market in {"", row["trading_pair"]}), reverse=True)
        found: list[tuple[datetime, str]] = []
        cursor, number = "", 0
        while cursor or not number:
            page = await world.queries.page("ann", market=market, status="", limit=7, cursor=cursor)
            assert len(page.orders) <= 7
            found += [(document.created_at, document.id) for document in page.orders]
            number += 1
            await world.place_newer(order("ann", question * 10**5 + number, NOON + timedelta(hours=1), market))
            assert page.next_cursor != cursor or not cursor
            cursor = page.next_cursor
        assert found == expected


async def test_who_has_few_orders_and_very_many_events_is_answered_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_windows, "EVENTS_PER_WINDOW_MAX", 2 * EVENTS_PER_POINT)
    monkeypatch.setattr(order_queries, "WINDOWS_PER_PAGE_MAX", 4)
    row = order("ann", 0, NOON - timedelta(days=1), "BTC-USD")
    await world.add("ann", [row], stored=[row])
    fills = [NOON - timedelta(seconds=number) for number in range(3_000, 0, -1)]
    events = [row["created_at"]] * EVENTS + fills
    await world._insert(BalancePointDocument.Settings.name, points("ann", events))
    world.owners["ann"].sequence = len(events)
    pages = [await world.queries.page("ann", market="", status="", limit=7, cursor="")]
    while pages[-1].next_cursor:
        assert not pages[-1].orders
        pages.append(await world.queries.page("ann", market="", status="", limit=7, cursor=pages[-1].next_cursor))
    assert [document.id for document in pages[-1].orders] == [row["_id"]]
    assert 3_000 // (2 * EVENTS_PER_POINT) // 4 <= len(pages) <= 20


class Finds(monitoring.CommandListener):
    """What the server is asked to find."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "find":
            self.asked.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to note."""


class Examined:
    def __init__(self, database: MongoDatabase, finds: Finds) -> None:
        self.database = database
        self._finds = finds

    async def documents(self) -> int:
        """How many the server looks at for what was asked since."""
        asked, self._finds.asked = self._finds.asked, []
        return sum([await self._of(question) for question in asked])

    async def _of(self, question: dict[str, Any]) -> int:
        find = {name: question[name] for name in ("find", "filter", "sort", "limit") if name in question}
        ids = find["filter"].get("_id")
        if isinstance(ids, str) or (isinstance(ids, dict) and list(ids) == ["$in"]):
            return 1 if isinstance(ids, str) else len(ids["$in"])
        # What is no bound of an index is looked at by the local server row by row, which it does not count.
        assert set(find["filter"]) in INDEXED
        plan = await self.database.command("explain", find, verbosity="executionStats")
        assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])
        examined: int = plan["executionStats"]["totalDocsExamined"]
        return examined


@pytest.fixture
async def examined(mongo_url: str, mongo: MongoConnection) -> AsyncIterator[Examined]:
    finds = Finds()
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(mongo_url, event_listeners=[finds])
    database = client.get_database(mongo.database.name, codec_options=CODEC_OPTIONS)
    await init_documents(database, DOCUMENTS)
    yield Examined(database, finds)
    await client.close()


async def test_a_page_costs_what_it_holds_however_many_orders_there_are(examined: Examined) -> None:
    world, pages = World(examined.database), {"": "", "market": "ETH-USD", "none": "SOL-USD"}
    counts = {"ann": 6_000, "bob": 3_000, "eve": 2}
    for user, count in counts.items():
        # A thousand an hour, a silence of a year, and a thousand a minute before it.
        silence = timedelta(days=365 if user == "ann" else 0)
        rows = [order(user, n, NOON + n * timedelta(seconds=3.6)) for n in range(count // 2)]
        rows += [
            order(user, count // 2 + n, NOON - silence - n * timedelta(seconds=0.06)) for n in range(count - count // 2)
        ]
        await world.add(user, rows, stored=rows)
    oldest = NOON - timedelta(days=365, seconds=178)
    between = urlsafe_b64encode(f"{round((NOON - timedelta(days=9)).timestamp() * 1000)}/".encode()).decode()
    last = urlsafe_b64encode(f"{round(oldest.timestamp() * 1000)}/".encode()).decode()
    await examined.documents()
    first = await world.queries.page("ann", market="", status="", limit=50, cursor="")
    for cursor in ("", first.next_cursor, between.rstrip("="), last.rstrip("=")):
        page = await world.queries.page("ann", market="", status="", limit=50, cursor=cursor)
        assert len(page.orders) == (50 if cursor != last.rstrip("=") else 33)
        # Twice the page in windows, the page, and some points of the way to it.
        assert await examined.documents() <= 700
    for market in pages.values():
        await world.queries.page("ann", market=market, status="filled", limit=50, cursor="")
        assert await examined.documents() <= order_queries.ROWS_PER_PAGE_MAX + time_windows.EVENTS_PER_WINDOW_MAX + 200
    await world.queries.page("ann", market="", status="open", limit=50, cursor="")
    assert await examined.documents() == 0
    for user in ("eve", "nobody"):
        for cursor in ("", first.next_cursor):
            await world.queries.page(user, market="", status="", limit=50, cursor=cursor)
            assert await examined.documents() <= 4
    await BalancePoints().before_time("ann", NOON, {}, newest=2 * counts["ann"])
    assert await examined.documents() <= 200


async def test_a_key_is_looked_up_in_its_index(examined: Examined) -> None:
    await World(examined.database).add("ann", rows := [order("ann", n, NOON) for n in range(200)], stored=rows)
    await examined.documents()
    history = MongoHistory(examined.database, state=ExchangeState, now=lambda: NOON)
    placing = limit("ann", Side.BUY, UNIT, PRICE, key="k")._replace(client_order_id="c")
    await history.keys_of(placing, up_to=10**6)
    assert await examined.documents() <= 4
    await OrderQueries(Unwritten(), lambda _: None).by_client_id("ann", "c")
    assert await examined.documents() == 0


async def test_the_tape_is_read_by_name(examined: Examined) -> None:
    await examined.database.get_collection(TapeDocument.Settings.name).insert_many([
        {"_id": tape_id("BTC-USD", first), "batch": first, "time": NOON, "trades": [
            {"id": f"t{n}", "sequence": n, "price": "1", "quantity": "1", "taker_side": "buy"}
            for n in range(first, first + 100)]}
        for first in range(1, 20_001, 100)
    ])  # fmt: skip
    for before in (0, 9_950, 151):
        tape = Tape(examined.database, Unwritten())
        shown = await tape.page("BTC-USD", before=before, after=0, limit=50, newest=20_000)
        newest = (before or 20_001) - 1
        assert [trade.sequence for trade in shown.trades] == list(range(newest, newest - 50, -1))
        assert shown.more
        assert await examined.documents() <= 500


def cursor_of(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        *map(cursor_of, ("1_000/a", "-1/a", " 1/a", "+1/a", "01/a", "1", "/a", "1/\u00fc", "1/a\n")),
        *map(cursor_of, (f"{MOMENT_MAX}/a", "9" * 40 + "/a", "\u0661/a")),
        cursor_of("1000/ab") + "=", cursor_of("1000/ab") + "!", "!" + cursor_of("1000/ab"), "%", "a",
    ],
)  # fmt: skip
async def test_a_cursor_is_one_that_we_wrote(world: World, cursor: str) -> None:
    await world.add("ann", [order("ann", 1, NOON)], stored=[])
    await world.queries.page("ann", market="", status="", limit=1, cursor=cursor_of("1000/ab"))
    with pytest.raises(InvalidArgument) as refused:
        await world.queries.page("ann", market="", status="", limit=1, cursor=cursor)
    assert refused.value.details["field"] == "cursor"
