"""What the same machine does at its best in the same run: the floors that the figures are divided by."""

import asyncio
import os
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
from chassis.mongo import connect as mongo_connection
from local_stack.nursery.nursery import STARTING_ENVIRONMENT
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from trading.storage.appends import Appends

from tests.load.http_client import Samples, closed_loop, connect, request_bytes

START_SECONDS = 15.0
FLOOR_SECONDS = 3.0
TRANSACTION_WORKERS = 4  # more only conflict or queue: tried with 1, 4 and 16

Work = Callable[[], Awaitable[None]]


@asynccontextmanager
async def floor_server(name: str, port: int, *numbers: int) -> AsyncIterator[str]:
    """One server of `floor_servers.py` as a process; yields its base URL."""
    async with floor_process(name, port, *numbers):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def floor_process(
    name: str, port: int, *numbers: int, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """The same; yields the process. `environment` adds to ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("floor_servers.py")), name, str(port), *map(str, numbers),
        env={**os.environ, **(environment or {})}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await _listening(port)
        yield process
    finally:
        process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError(f"nothing listens on port {port} after {START_SECONDS} s")


def free_port(first: int = 0) -> int:
    """A free port below the ephemeral range, so that no outgoing connection can take it first; not below `first`."""
    for port in range(first or 20000 + os.getpid() % 5000, 32000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port below 32000")


async def raw_asgi_rate(*, body_bytes: int, concurrency: int) -> Samples:
    request = request_bytes("GET", "/")
    async with floor_server("raw-asgi", free_port(), body_bytes) as url:
        return await closed_loop(
            url,
            concurrency=concurrency,
            duration_seconds=FLOOR_SECONDS,
            next_request=lambda _c, _t: request,
            expect=200,
        )


class OrderFloor:
    """What no order can do without: a bare FastAPI route with one unary gRPC hop, and an append. One client.

    All in seconds, medians of what `measure` has seen so far.
    """

    def __init__(self, hop: Work, append: Work, our_hop: Work, our_append: Work) -> None:
        """The latter two as the platform does them: decisions 0119 and 0112."""

        async def in_turn() -> None:
            await hop()
            await append()

        async def ours_in_turn() -> None:
            await our_hop()
            await our_append()

        self._works = (hop, append, in_turn, ours_in_turn)
        self._seconds: tuple[list[float], ...] = ([], [], [], [])

    async def measure(self, turns: int) -> None:
        for work, seconds in zip(self._works, self._seconds, strict=True):
            for _ in range(turns):
                begun = time.perf_counter()
                await work()
                seconds.append(time.perf_counter() - begun)

    @property
    def hop(self) -> float:
        return median(self._seconds[0])

    @property
    def append(self) -> float:
        """One journal-shaped document of one order, by the driver: majority, journaled."""
        return median(self._seconds[1])

    @property
    def in_turn(self) -> float:
        """The hop, then the append, as in an order: each finds the caches as the other left them."""
        return median(self._seconds[2])

    @property
    def ours_in_turn(self) -> float:
        """The same with the platform's pollers and line: what is left above it is the platform's own."""
        return median(self._seconds[3])


@asynccontextmanager
async def order_floor(mongo_url: str) -> AsyncIterator[OrderFloor]:
    async with _hop({}) as hop, _hop(STARTING_ENVIRONMENT) as our_hop, _scratch(mongo_url) as database:
        journal = database["journal"]
        mongo = mongo_connection(mongo_url, database.name)
        line = Appends(mongo, "journal", timeout_seconds=FLOOR_SECONDS)
        await journal.create_index("users")
        numbers = count(1)

        async def append() -> None:
            await journal.insert_one(_batch_like(next(numbers)))

        async def our_append() -> None:
            await line.insert(_batch_like(next(numbers)))

        yield OrderFloor(hop, append, our_hop, our_append)
        line.close()
        await mongo.close()


@asynccontextmanager
async def _hop(environment: Mapping[str, str]) -> AsyncIterator[Work]:
    request = request_bytes("POST", "/hop", body=b'{"text":"' + b"x" * 200 + b'"}')
    grpc_port = free_port()
    async with floor_process("echo-grpc", grpc_port, environment=environment):
        port = free_port(grpc_port + 1)
        async with floor_process("hop", port, grpc_port, environment=environment):
            connection = await connect(f"http://127.0.0.1:{port}")

            async def hop() -> None:
                reply = await connection.send(request)
                if reply.status != httpx.codes.OK:
                    raise RuntimeError(f"unexpected reply {reply.status}: {reply.body[:500].decode()}")

            yield hop
            connection.close()


def _batch_like(number: int) -> dict[str, Any]:
    """Of the size of a batch with one order."""
    return {
        "_id": number, "epoch": 1, "previous": os.urandom(32), "users": [str(uuid4())], "core": 1,
        "body": os.urandom(600),
    }  # fmt: skip


async def transactions_per_second(mongo_url: str) -> float:
    """Orders per second where each order is one transaction over an order, a transfer and two accounts.

    The better of one worker and several on accounts of their own, since the floor is to be the best of its kind.
    """
    async with _scratch(mongo_url) as database:
        rates = [await _transaction_rate(database, workers) for workers in (1, TRANSACTION_WORKERS)]
        return max(rates)


async def _transaction_rate(database: Any, workers: int) -> float:
    orders, transfers, accounts = database["orders"], database["transfers"], database["accounts"]
    await orders.create_index([("user_id", 1), ("created_at", -1)])
    await transfers.create_index("business_key", unique=True)
    done = 0
    ends = time.perf_counter() + FLOOR_SECONDS

    async def worker() -> None:
        nonlocal done
        user = str(uuid4())
        await accounts.insert_many([{"_id": f"{user}:BTC", "amount": 0}, {"_id": f"{user}:USD", "amount": 10**12}])
        async with database.client.start_session() as session:
            while time.perf_counter() < ends:

                async def one_order(inside: AsyncClientSession) -> None:
                    await _write_order(orders, transfers, accounts, user=user, session=inside)

                await session.with_transaction(one_order)
                done += 1

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())
    return done / (time.perf_counter() - begun)


async def _write_order(
    orders: AsyncCollection[Any],
    transfers: AsyncCollection[Any],
    accounts: AsyncCollection[Any],
    *,
    user: str,
    session: AsyncClientSession,
) -> None:
    order_id = str(uuid4())
    order: dict[str, Any] = {
        "_id": order_id,
        "user_id": user,
        "trading_pair": "BTC-USD",
        "side": "buy",
        "order_type": "market",
    }
    order |= {"status": "filled", "amount": 5000, "price": 6_412_345, "created_at": time.time()}
    await orders.insert_one(order, session=session)
    postings = [{"account": f"user:{user}", "asset": "BTC", "amount": 5000}, {"account": "house", "asset": "BTC"}]
    await transfers.insert_one({"_id": order_id, "business_key": order_id, "postings": postings}, session=session)
    await accounts.update_one({"_id": f"{user}:BTC"}, {"$inc": {"amount": 5000}}, session=session)
    await accounts.update_one({"_id": f"{user}:USD"}, {"$inc": {"amount": -320_000}}, session=session)


@asynccontextmanager
async def _scratch(mongo_url: str) -> AsyncIterator[Any]:
    client: AsyncMongoClient[Any] = AsyncMongoClient(mongo_url)
    name = f"bench_floor_{uuid4().hex[:8]}"
    try:
        yield client.get_database(name, write_concern=WriteConcern(w="majority", j=True))
    finally:
        await client.drop_database(name)
        await client.close()
