"""`cryptovault exchange explain`: what an order has been through, and what a balance is made of."""

import asyncio
import json
from decimal import Decimal

import pytest
from chassis.mongo import MongoConnection, MongoDatabase
from shell_factory import PRICE, UNIT, actor, limit, running_shell
from test_other_scales import MARKET as ORE_IN_EUROS
from traded_exchange import Traded
from trading.command_line.explain_order import explain_order
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.report import Report
from trading.domain.accounts import Posting
from trading.domain.commands import AmendOrder, HoldTransfer, SetAsset, SetMarket
from trading.domain.markets import Asset
from trading.domain.orders import Side
from trading.storage.cursors import ORDERS, Cursor, Cursors
from trading.storage.documents import OrderDocument
from trading.storage.journal import MongoJournal
from trading.storage.snapshots import MongoSnapshots


async def test_an_orders_life_is_told_also_without_its_row(traded: Traded) -> None:
    ran, cancelled = await asyncio.gather(
        traded.run("explain", traded.filled, "--json"), traded.run("explain", traded.cancelled)
    )
    life = ran.facts["life"]
    assert [step["event"] for step in life] == ["OrderPlaced", "Traded"]
    assert (life[0]["user"], life[0]["market"], life[0]["idempotency_key"]) == ("ann", "BTC-USD", "k")
    assert (life[1]["price"], life[1]["hold_reduction"]) == ("60030", life[0]["hold"]) == ("60030", "100.1")
    assert life[1]["house_consumed"] == life[1]["quantity"]
    assert "OrderClosed" in cancelled.output
    assert "by=CancelOrder" in cancelled.output
    await traded.database["orders"].delete_many({})
    assert (await traded.run("explain", traded.filled, "--json")).facts == ran.facts
    unknown = await traded.run("explain", "nobody")
    assert unknown.exit_code == 1
    assert "no order nobody" in unknown.output


async def put_behind(traded: Traded, journal: MongoJournal) -> None:
    """Rows are written behind: that of `cancelled` does not tell of its end yet."""
    placed = await journal.read(traded.rested)
    assert placed is not None
    await traded.database["orders"].update_one(
        {"_id": traded.cancelled}, {"$set": {"batch": placed.number, "status": "open"}}
    )
    await Cursors(traded.database).put(ORDERS, Cursor(placed.number, placed.digest))


async def test_an_orders_life_goes_on_where_its_row_ends(traded: Traded, mongo_journal: MongoJournal) -> None:
    await put_behind(traded, mongo_journal)
    ran = await traded.run("explain", traded.cancelled, "--json")
    assert [step["event"] for step in ran.facts["life"]] == ["OrderPlaced", "OrderClosed"]


async def test_an_orders_life_is_whole_where_its_row_is_written_meanwhile(
    traded: Traded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mongo: MongoConnection,
    mongo_journal: MongoJournal,
) -> None:
    read, head = OrderDocument.get, await Cursors(traded.database).read(ORDERS)
    await put_behind(traded, mongo_journal)

    async def read_and_go_on(order_id: str) -> OrderDocument | None:
        row = await read(order_id)
        await Cursors(traded.database).put(ORDERS, head)
        return row

    monkeypatch.setattr(OrderDocument, "get", read_and_go_on)
    report = Report(as_json=True)
    exchange = OpenExchange(mongo, mongo_journal, MongoSnapshots(traded.database))
    await explain_order(exchange, report, traded.cancelled)
    report.finish()
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [step["event"] for step in facts["life"]] == ["OrderPlaced", "OrderClosed"]


async def test_the_figures_of_a_life_are_in_the_units_of_their_assets(
    mongo_url: str, mongo_database: MongoDatabase, mongo_journal: MongoJournal
) -> None:
    """Of ore in kilograms of a tonne, and euros in cents."""
    async with running_shell(mongo_journal) as shell:
        for asset in (Asset("EUR", "Euro", 2), Asset("ORE", "Ore", 3)):
            await shell.send(SetAsset(actor("operator"), asset, "listed"))
            await shell.deposit("ann", asset.code, 100_000)
        await shell.send(SetMarket(actor("operator"), ORE_IN_EUROS, "listed"))
        shell.tick(7_700, ORE_IN_EUROS.symbol)
        order_ids = []
        for side, price in ((Side.BUY, 7_500), (Side.SELL, 8_000)):
            placed = await shell.send(limit("ann", side, 1_000, price)._replace(market=ORE_IN_EUROS.symbol))
            assert placed.order is not None
            order_ids.append(placed.order.order_id)
            await shell.send(AmendOrder(actor("ann"), placed.order.order_id, quantity=2 * UNIT))
    environment = {"CRYPTOVAULT_MONGO_URL": mongo_url, "CRYPTOVAULT_MONGO_DATABASE": mongo_database.name}
    tools = Traded(mongo_database, environment, 0, "", "", "")
    bought, sold = [(await tools.run("explain", order_id, "--json")).facts["life"] for order_id in order_ids]
    assert (bought[0]["price"], bought[0]["quantity"], bought[0]["hold"]) == ("75", "1", "75.1")
    assert (bought[1]["quantity_before"], bought[1]["hold_change"]) == ("1", "75.1")
    assert (sold[1]["price_before"], sold[1]["quantity_before"], sold[1]["hold_change"]) == ("80", "1", "1")


async def test_a_balance_is_told_by_its_postings_and_what_holds_of_it(traded: Traded) -> None:
    ran, fees, few, nobody = await asyncio.gather(
        traded.run("explain", "user:ann", "USD", "--json"),
        traded.run("explain", "fees", "USD", "--json"),
        traded.run("explain", "user:ann", "USD", "--newest", "1"),
        traded.run("explain", "user:nobody", "USD"),
    )
    assert (ran.exit_code, ran.facts["problems"]) == (0, [])
    postings = ran.facts["newest_postings"]
    assert [posting["kind"] for posting in postings] == ["deposit", "trade", "trade"]
    assert (postings[0]["amount"], postings[0]["total"], postings[0]["with"]) == ("1000", "1000", "external")
    holds = {hold["by"]: Decimal(hold["amount"]) for hold in ran.facts["holds"]}
    assert holds.keys() == {f"order {traded.resting}", "transfer w1"}
    sums = [Decimal(posting["amount"]) for posting in postings]
    assert str(sum(sums)) == postings[-1]["total"] == ran.facts["sum_of_postings"]
    assert sum(sums) - sum(holds.values()) == Decimal(ran.facts["available"])
    paid = [Decimal(posting["amount"]) for posting in fees.facts["newest_postings"]]
    assert len(paid) == 2
    assert all(fee > 0 for fee in paid)
    assert fees.facts["newest_postings"][0]["user"] == "ann"
    assert few.output.count("trade") == 1
    assert "deposit" not in few.output
    assert nobody.exit_code == 1
    assert "no account user:nobody" in nobody.output


async def test_what_is_held_is_told_by_order_and_transfer(
    mongo_url: str, mongo_database: MongoDatabase, mongo_journal: MongoJournal
) -> None:
    async with running_shell(mongo_journal) as shell:
        await shell.deposit("ann", "USD", 1_000 * UNIT)
        placed = await shell.send(limit("ann", Side.BUY, UNIT // 1000, PRICE - 100 * UNIT))
        moves = (Posting("user:ann", "USD", -5 * UNIT), Posting("external", "USD", 5 * UNIT))
        await shell.send(HoldTransfer(actor("ann"), "w1", "withdrawal", moves))
        held = shell.balance("ann", "USD")[1]
        head = shell.state.batch_number
    environment = {"CRYPTOVAULT_MONGO_URL": mongo_url, "CRYPTOVAULT_MONGO_DATABASE": mongo_database.name}
    tools = Traded(mongo_database, environment, head, "", "", "")
    ran = await tools.run("explain", "user:ann", "USD", "--json")
    assert placed.order is not None
    by = {hold["by"]: Decimal(hold["amount"]) for hold in ran.facts["holds"]}
    assert by == {f"order {placed.order.order_id}": Decimal(held - 5 * UNIT) / UNIT, "transfer w1": Decimal(5)}
    assert (ran.exit_code, ran.facts["problems"]) == (0, [])
    assert Decimal(ran.facts["held"]) == Decimal(held) / UNIT
