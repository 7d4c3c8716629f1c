"""What follows the orders: how soon one is in the records, and when a burst of them has been folded everywhere."""

import asyncio
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import orjson
from local_stack.platform import Platform
from pymongo import AsyncMongoClient

from tests.load.figures import ORDERS
from tests.load.http_client import Connection, connect, request_bytes
from tests.load.people import Person
from tests.load.table import Row, against

OFFERED_PER_SECOND = 300
OFFERED_SECONDS = 8.0
OFFERED_SHARE_MIN = 0.9
READ_SECONDS_MAX = 10.0  # until an order's record can be read; by then a figure says enough
READ_EVERY = 3  # each read is a request more: of every order it would be another load, too
CLIENTS = 48
# Their databases, and where each keeps how far it has come.
FOLLOWERS = {
    "records of orders": ("trading", "cursors", "orders", "batch"),
    "portfolio": ("portfolio", "journal_cursors", "portfolio", "number"),
    "notifications": ("notifications", "journal_cursors", "notifications", "number"),
    "audit trail": ("auth", "journal_cursors", "audit-trail", "number"),
}
FOLDING_SECONDS_MAX = 180.0
_LOOK_SECONDS = 0.2
PEACE_SECONDS = 5.0
_MILLI = 1000.0


async def visibility_rows(url: str, people: list[Person]) -> list[Row]:
    """From an order's reply until its record is read, at a steady pace. A read waits for the record, and is asked again
    where it has waited in vain.

    Raises where an order was refused, or could not be read within ten seconds. Where the pace was not kept, the figures
    are of another load.
    """
    connections = [await connect(url) for _ in range(CLIENTS)]
    begun = time.perf_counter()
    moments = _moments(begun)
    waits: list[float] = []
    try:
        async with asyncio.TaskGroup() as group:
            for client, connection in enumerate(connections):
                trade = (people[client % len(people)], *ORDERS[client % len(ORDERS)])
                group.create_task(_client(connection, trade, moments, waits))
    finally:
        for connection in connections:
            connection.close()
    pace = READ_EVERY * len(waits) / (time.perf_counter() - begun)
    waits.sort()
    name = f"order in the records after its reply, {OFFERED_PER_SECOND} orders/s"
    goal = f">= {OFFERED_PER_SECOND * OFFERED_SHARE_MIN:.0f}"
    return [
        Row(name=f"orders taken of {OFFERED_PER_SECOND} offered a second", value=pace, unit="orders/s", goal=goal),
        Row(name=f"{name}, p50", value=waits[len(waits) // 2] * _MILLI, unit="ms"),
        Row(name=f"{name}, p99", value=waits[len(waits) * 99 // 100] * _MILLI, unit="ms", goal="<= 250"),
    ]


def _moments(begun: float) -> Iterator[tuple[int, float]]:
    """When to send which order; whoever is free takes the next."""
    for number in count():
        moment = begun + number / OFFERED_PER_SECOND
        if moment > begun + OFFERED_SECONDS:
            return
        yield number, moment


async def _client(
    connection: Connection, trade: tuple[Person, str, str], moments: Iterator[tuple[int, float]], waits: list[float]
) -> None:
    """Buys and sells the same amount in turn."""
    person, market, quantity = trade
    for turn, (number, moment) in enumerate(moments):
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        side = "buy" if turn % 2 == 0 else "sell"
        body = orjson.dumps({"market": market, "side": side, "type": "market", "quantity": quantity})
        headers = person.headers | {"Idempotency-Key": f"visible-{uuid4().hex}"}
        reply = await connection.send(request_bytes("POST", "/api/v1/orders", headers=headers, body=body))
        if reply.status != httpx.codes.CREATED:
            raise RuntimeError(f"an order was refused: {reply.status} {reply.body[:300].decode()}")
        if number % READ_EVERY:
            continue
        replied = time.perf_counter()
        read = request_bytes("GET", f"/api/v1/orders/{orjson.loads(reply.body)['id']}", headers=person.headers)
        async with asyncio.timeout(READ_SECONDS_MAX):
            while (found := await connection.send(read)).status != httpx.codes.OK:
                if found.status != httpx.codes.SERVICE_UNAVAILABLE:
                    raise RuntimeError(f"an order cannot be read: {found.status} {found.body[:300].decode()}")
        waits.append(time.perf_counter() - replied)


async def newest_batch(platform: Platform) -> int:
    """Of the journal."""
    async with _client_of(platform.journal_url) as client:
        newest = await client["trading"]["journal"].find_one(sort=[("_id", -1)], projection={"_id": 1})
    return int(newest["_id"]) if newest is not None else 0


async def peace(platform: Platform) -> None:
    """Returns when all that follow have folded what was traded before, and its mails had some time to leave."""
    await followers_rows(platform, await newest_batch(platform), burst_seconds=1.0)
    await asyncio.sleep(PEACE_SECONDS)


async def followers_rows(platform: Platform, batch: int, *, burst_seconds: float) -> list[Row]:
    """When each follower has folded that batch, the last one of a burst that has ended just now.

    Raises where one has not within three minutes.
    """
    begun = time.monotonic()
    seconds: dict[str, float] = {}
    async with _client_of(platform.mongo_url) as client:
        while len(seconds) < len(FOLLOWERS):
            for name, (database, collection, cursor, field) in FOLLOWERS.items():
                if name in seconds:
                    continue
                row = await client[database][collection].find_one({"_id": cursor})
                if row is not None and row[field] >= batch:
                    seconds[name] = time.monotonic() - begun
            if time.monotonic() - begun > FOLDING_SECONDS_MAX:
                raise RuntimeError(f"of {list(FOLLOWERS)} only {list(seconds)} have folded the burst")
            await asyncio.sleep(_LOOK_SECONDS)
    return [
        *(Row(name=f"burst folded, {name}", value=value, unit="s") for name, value in seconds.items()),
        against("burst folded by all that follow", max(seconds.values()), "s", floor=burst_seconds, goal="<= 3"),
    ]


def _client_of(url: str) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(url)
