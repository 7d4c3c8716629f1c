"""The leader dies by SIGKILL again and again under load; nothing acknowledged is lost, nothing happens twice."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from chassis.embedded.ports import free_port_block
from chassis.errors import RemoteBugError, RemoteError
from chassis.grpc_client import open_channel
from chassis.mongo import MongoConnection, MongoDatabase
from chassis.testing import eventually
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc
from trading.domain.events import Event, OrderPlaced, TransferPosted
from trading.domain.exchange import Exchange
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.journal.batch import GENESIS_DIGEST, check_follows
from trading.journal.codec import decode_body
from trading.storage.journal import MongoJournal

KILLS = 5
USERS = [f"user-{index}" for index in range(4)]
IN_FLIGHT = 16
START_SECONDS_MAX = 20.0


@dataclass
class Processes:
    """The real processes on ports of their own."""

    mongo_url: str
    database: str
    ports: int
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def trading_address(self) -> str:
        return f"127.0.0.1:{self.ports}"

    @property
    def queries_address(self) -> str:
        return f"127.0.0.1:{self.ports + 1}"

    def start(self, name: str, *command: str, listen: str = "", crash_point: str = "") -> None:
        environment = {
            **os.environ,
            "CRYPTOVAULT_PROFILE": "test",
            "CRYPTOVAULT_MONGO_URL": self.mongo_url,
            "CRYPTOVAULT_MONGO_DATABASE": self.database,
            "CRYPTOVAULT_MARKET_DATA_ADDRESS": f"127.0.0.1:{self.ports + 2}",
            "CRYPTOVAULT_LISTEN": listen,
            "CRYPTOVAULT_CRASH_POINT": crash_point,
        }
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen([sys.executable, *command], env=environment, stdout=log, stderr=log)

    def start_trading(self, crash_point: str = "") -> None:
        self.start("trading", "-m", "trading", listen=self.trading_address, crash_point=crash_point)

    def start_projector(self) -> None:
        self.start("projector", "-m", "trading.projector", listen=self.queries_address)

    def kill(self, name: str) -> None:
        self.running[name].kill()
        self.running[name].wait()

    def stop_all(self) -> None:
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()


@pytest.fixture
async def processes(mongo_url: str, mongo_database: MongoDatabase, tmp_path: Path) -> AsyncIterator[Processes]:
    started = Processes(mongo_url, mongo_database.name, free_port_block(3), tmp_path)
    try:
        started.start("prices", str(Path(__file__).parent / "price_server.py"), str(started.ports + 2))
        yield started
    finally:
        started.stop_all()


@asynccontextmanager
async def trading_stub(address: str) -> AsyncIterator[Any]:
    channel = open_channel(address, service="gateway", deadline_seconds=2.0)
    yield trading_pb2_grpc.TradingServiceStub(channel)
    await channel.close()


async def pay_everybody(address: str) -> None:
    async with trading_stub(address) as stub:
        for user in USERS:
            leg = trading_pb2.TransferLeg(
                asset="USD", amount="1000000", debit_account="external", credit_account=f"user:{user}"
            )
            request = trading_pb2.TransferRequest(business_key=f"practice:{user}", kind="practice_money", legs=[leg])

            async def pay(request: trading_pb2.TransferRequest = request) -> bool:
                return bool((await stub.Transfer(request)).transfer_id)

            await eventually(pay, START_SECONDS_MAX)


@dataclass
class Load:
    """Clients that each have one order under way, and send it again with its key until they hear its outcome."""

    address: str
    acknowledged: dict[str, str] = field(default_factory=dict)  # key -> order id
    contradictions: list[str] = field(default_factory=list)
    repeats: int = 0
    stopping: bool = False

    async def client(self, number: int) -> None:
        key = f"client-{number}-0"
        while not self.stopping:
            with suppress(RemoteError, RemoteBugError, asyncio.InvalidStateError, TimeoutError):
                async with trading_stub(self.address) as stub:
                    call = stub.EnterOrders()
                    while not self.stopping:
                        if await self._ask(call, number, key):
                            key = f"client-{number}-{len(self.acknowledged)}"
                    call.cancel()
            await asyncio.sleep(0.02)

    async def _ask(self, call: Any, number: int, key: str) -> bool:
        """True when the outcome is known."""
        request = trading_pb2.EnterOrdersRequest(
            correlation_id=1,
            principal=trading_pb2.Principal(user_id=USERS[number % len(USERS)], session_id="s"),
            idempotency_key=key,
            deadline_milliseconds=int(time.time() * 1000) + 2_000,
            place_order=trading_pb2.PlaceOrder(market="BTC-USD", side="buy", type="market", quote_quantity="10"),
        )
        await call.write(request)
        answer = await asyncio.wait_for(call.read(), 3)
        if not isinstance(answer, trading_pb2.EnterOrdersResponse):  # grpc's end-of-stream mark
            raise RemoteBugError("the stream ended")
        if answer.HasField("result"):
            self._note(key, answer.result)
            return True
        await asyncio.sleep(0.02)  # the exchange says "not now": the price is still on its way
        return False

    def _note(self, key: str, result: trading_pb2.OrderResult) -> None:
        self.repeats += result.replayed
        known = self.acknowledged.setdefault(key, result.order.id)
        if known != result.order.id:
            self.contradictions.append(key)


async def read_whole_journal(mongo: MongoConnection) -> tuple[Exchange, History, list[Event]]:
    """Folds and checks every batch: chain, invariants, history."""
    exchange, history, events = Exchange(), History(), []
    number, digest = 0, GENESIS_DIGEST
    journal = MongoJournal(mongo)
    while batches := await journal.read_after(number, 64):
        for batch in batches:
            check_follows(batch, number=number, digest=digest)
            number, digest = batch.number, batch.digest
            for entry in decode_body(batch.body).entries:
                for event in entry.events:
                    exchange.apply(event)
                    history.feed(event)
                    events.append(event)
                history.end_command(postponed=any(m.postponed for m in exchange.state.markets.values()))
    assert check_all(exchange.state) == []
    assert history.compare(exchange.state) == []
    return exchange, history, events


def check_outcomes(load: Load, events: list[Event]) -> None:
    placed = [event for event in events if isinstance(event, OrderPlaced)]
    ids = [event.order_id for event in placed]
    keys = [(event.user_id, event.idempotency_key) for event in placed]
    assert len(ids) == len(set(ids))
    assert len(keys) == len(set(keys))
    by_key = {event.idempotency_key: event.order_id for event in placed}
    assert load.contradictions == []
    assert {key: by_key.get(key) for key in load.acknowledged} == load.acknowledged
    paid = [event.business_key for event in events if isinstance(event, TransferPosted)]
    assert sorted(paid) == sorted(f"practice:{user}" for user in USERS)


async def advances(count: Callable[[], int], by: int) -> None:
    before = count()
    await eventually(lambda: count() >= before + by, START_SECONDS_MAX)


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
        _, unfinished = await asyncio.wait(clients, timeout=10)
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
