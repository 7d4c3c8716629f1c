"""The leader dies by SIGKILL again and again under load; nothing acknowledged is lost, nothing happens twice."""

import asyncio
from contextlib import suppress

import pytest
from chassis.mongo import MongoConnection, MongoDatabase
from chassis.testing import eventually
from exchange_processes import (
    IN_FLIGHT,
    START_SECONDS_MAX,
    Load,
    Processes,
    advances,
    check_outcomes,
    pay_everybody,
    read_whole_journal,
)
from trading.domain.events import OrderPlaced

KILLS = 5


async def test_five_kills_under_load_lose_and_double_nothing(
    processes: Processes, mongo: MongoConnection, mongo_database: MongoDatabase
) -> None:
    processes.start_trading()
    processes.start_projector()
    await pay_everybody(processes.trading_address)
    load = Load(processes.trading_address)
    clients = [asyncio.create_task(load.client(number)) for number in range(IN_FLIGHT)]
    try:
        for _ in range(KILLS):
            await advances(lambda: len(load.acknowledged), by=60)
            processes.kill("trading")
            processes.start_trading()
        processes.kill("projector")
        processes.start_projector()
        await advances(lambda: len(load.acknowledged), by=60)
    finally:
        load.stopping = True
        _, unfinished = await asyncio.wait(clients, timeout=60)
        for client in unfinished:
            client.cancel()
    for client in clients:
        with suppress(asyncio.CancelledError):
            await client
    exchange, _, events = await read_whole_journal(mongo)
    check_outcomes(load, events)
    assert len(load.acknowledged) >= (KILLS + 1) * 60
    head = exchange.state.batch_number

    async def projected() -> bool:
        cursor = await mongo_database["cursors"].find_one({"_id": "orders"})
        return cursor is not None and cursor["batch"] >= head

    await eventually(projected, START_SECONDS_MAX)
    rows = await mongo_database["orders"].distinct("_id")
    assert sorted(rows) == sorted(event.order_id for event in events if isinstance(event, OrderPlaced))


@pytest.mark.parametrize(
    ("crash_point", "durable"),
    [("before_apply:4", False), ("after_apply_before_append:4", False), ("after_append_before_reply:4", True)],
)
async def test_a_retry_after_each_crash_point_has_one_effect(
    processes: Processes, mongo: MongoConnection, crash_point: str, *, durable: bool
) -> None:
    processes.start_trading()
    await pay_everybody(processes.trading_address)
    processes.kill("trading")
    processes.start_trading(crash_point)
    load = Load(processes.trading_address)
    client = asyncio.create_task(load.client(0))
    await eventually(lambda: processes.running["trading"].poll() is not None, START_SECONDS_MAX)
    _, _, events = await read_whole_journal(mongo)
    unanswered = {event.idempotency_key for event in events if isinstance(event, OrderPlaced)} - set(load.acknowledged)
    assert bool(unanswered) is durable
    processes.start_trading()
    await advances(lambda: len(load.acknowledged), by=5)
    load.stopping = True
    await client
    _, _, events = await read_whole_journal(mongo)
    check_outcomes(load, events)
    assert unanswered <= set(load.acknowledged)
    assert (load.repeats >= 1) is durable
