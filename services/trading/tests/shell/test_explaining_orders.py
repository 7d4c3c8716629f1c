"""`cryptovault exchange explain` of an order whose taking went on in later batches."""

import json

import pytest
from chassis.mongo import MongoConnection, MongoDatabase
from shell_factory import MARKET, PRICE, UNIT, cancel, limit, running_shell
from trading.command_line.explain_order import explain_order
from trading.command_line.open_exchange import OpenExchange
from trading.command_line.rebuild import rebuild_projection
from trading.command_line.report import Report
from trading.domain.commands import Command, Continue, SetReferencePrice
from trading.domain.orders import OrderType, Side
from trading.domain.state import Limits
from trading.sequencer.memory import Memory
from trading.sequencer.open_batch import OpenBatch
from trading.sequencer.recovery import recover
from trading.storage.journal import MongoJournal
from trading.storage.snapshots import MongoSnapshots

ONE_FILL = Limits(fills_per_command=1)
QUANTITY = UNIT // 1000
LOW = PRICE - 500 * UNIT


async def append(journal: MongoJournal, memory: Memory, *commands: Command) -> list[str]:
    """One batch of the core's own making: what of postponed work a writer puts into one is its room's matter."""
    batch = OpenBatch(memory, memory.state.batch_milliseconds + 1)
    for command in commands:
        batch.run(command)
    sealed = batch.seal(batch.finish(), epoch=memory.epoch, writer="grown")
    await journal.append(sealed)
    memory.stand_at(sealed)
    return [type(event).__name__ for event in batch.events[1:]]


@pytest.mark.parametrize("triggered", [False, True])
async def test_that_it_rests_is_told_also_where_its_row_does_not_name_the_batch(
    mongo: MongoConnection,
    mongo_database: MongoDatabase,
    mongo_journal: MongoJournal,
    capsys: pytest.CaptureFixture[str],
    *,
    triggered: bool,
) -> None:
    """The batch in which it rests has no fill of it: whom it would have met has left meanwhile."""
    async with running_shell(mongo_journal, limits=ONE_FILL) as shell:
        await shell.deposit("ann", "BTC", UNIT)
        await shell.deposit("bob", "USD", 1_000 * UNIT)
    memory = await recover(mongo_journal, ONE_FILL)
    exchange = OpenExchange(mongo, mongo_journal, MongoSnapshots(mongo_database))

    async def life() -> list[str]:
        await rebuild_projection(exchange, Report(as_json=True), other_journal=False)
        report = Report(as_json=True)
        await explain_order(exchange, report, sold.order_id)
        report.finish()
        return [step["event"] for step in json.loads(capsys.readouterr().out.splitlines()[-1])["life"]]

    now, price = memory.state.batch_milliseconds, LOW if triggered else PRICE
    bids = [limit("bob", Side.BUY, QUANTITY, price) for _ in range(2)]
    await append(mongo_journal, memory, SetReferencePrice(MARKET, PRICE, "simulator", now, now), *bids)
    leaving = [*memory.state.orders.values()][-1]
    sell = limit("ann", Side.SELL, 3 * QUANTITY, price)
    if triggered:
        sell = sell._replace(order_type=OrderType.STOP_LIMIT, stop_price=LOW)
    await append(mongo_journal, memory, sell)
    sold = [*memory.state.orders.values()][-1]
    if triggered:
        await append(mongo_journal, memory, SetReferencePrice(MARKET, LOW, "simulator", now, now))
        assert await append(mongo_journal, memory, Continue(MARKET)) == ["OrderTriggered", "Traded"]
    await append(mongo_journal, memory, cancel("bob", leaving.order_id))
    assert await append(mongo_journal, memory, Continue(MARKET)) == ["OrderRested", "WorkFinished"]
    expected = ["OrderPlaced", *(["OrderTriggered"] if triggered else []), "Traded", "OrderRested"]
    assert await life() == expected
    await append(mongo_journal, memory, cancel("ann", sold.order_id))
    assert await life() == [*expected, "OrderClosed"]
