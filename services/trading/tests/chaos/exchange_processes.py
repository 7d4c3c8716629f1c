"""Real processes of the exchange, clients that keep book of every answer, and the judgement over both."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.errors import RemoteBugError, RemoteError
from chassis.leader_channel import NOT_LEADING, open_leader_channel
from chassis.mongo import MongoConnection
from chassis.testing import eventually
from chassis.testing.services import identity_of, key_settings
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc
from local_stack.nursery.nursery import ForkedProcess, Nursery
from trading.domain.events import Event, OrderPlaced, TransferPosted
from trading.domain.exchange import Exchange
from trading.domain.history import History
from trading.domain.invariants import check_all
from trading.journal.batch import GENESIS_DIGEST, check_follows
from trading.journal.codec import decode_body
from trading.sequencer.errors import OutcomeUnknown
from trading.storage.journal import MongoJournal

USERS = [f"user-{index}" for index in range(4)]
IN_FLIGHT = 16
START_SECONDS_MAX = 90.0  # one in peace; the machine may be running all other tests
ANSWER_SECONDS_MAX = 2.5
# Enough that a leader was well under way; few, since a busy machine answers some ten a second.
ORDERS_BETWEEN = 30
PORTS = 6  # trading, projector, prices, a second trading, a way to the journal, the projector's metrics


@dataclass
class Processes:
    """The real processes on ports of their own, forked from one that has loaded what they are made of."""

    nursery: Nursery
    mongo_url: str
    database: str
    ports: int
    logs: Path
    # Where nobody follows, only the next life of the same process waits for the end of the one before.
    lease_seconds: float = 0.6
    running: dict[str, ForkedProcess] = field(default_factory=dict)

    @property
    def trading_address(self) -> str:
        return f"127.0.0.1:{self.ports}"

    @property
    def queries_address(self) -> str:
        return f"127.0.0.1:{self.ports + 1}"

    @property
    def prices_port(self) -> int:
        return self.ports + 2

    @property
    def metrics_port(self) -> int:
        """The projector's."""
        return self.ports + 5

    @property
    def second_address(self) -> str:
        return f"127.0.0.1:{self.ports + 3}"

    async def start(
        self, name: str, *module: str, listen: str = "", crash_point: str = "", journal_url: str = ""
    ) -> None:
        """Returns when it was born; when it serves is for the test to see."""
        environment = {
            **os.environ,
            "CRYPTOVAULT_PROFILE": "test",
            "CRYPTOVAULT_MONGO_URL": self.mongo_url,
            "CRYPTOVAULT_JOURNAL_URL": journal_url,
            "CRYPTOVAULT_MONGO_DATABASE": self.database,
            "CRYPTOVAULT_MARKET_DATA_ADDRESS": f"127.0.0.1:{self.prices_port}",
            "CRYPTOVAULT_TRADING_ADDRESS": f"{self.trading_address},{self.second_address}",
            "CRYPTOVAULT_RECONCILE_SECONDS": "0.2",
            "CRYPTOVAULT_METRICS_PORT": str(self.metrics_port) if name == "projector" else "0",
            "CRYPTOVAULT_LEASE_SECONDS": str(self.lease_seconds),
            "CRYPTOVAULT_LISTEN": listen,
            **{
                f"CRYPTOVAULT_{setting.upper()}": value
                for setting, value in key_settings("trading-projector" if name == "projector" else "trading").items()
            },
            "CRYPTOVAULT_CRASH_POINT": crash_point,
        }
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = await self.nursery.spawn(
                module, environment=environment, folder=self.logs, output=log.fileno()
            )

    async def start_trading(self, crash_point: str = "", journal_url: str = "") -> None:
        await self.start(
            "trading", "trading", listen=self.trading_address, crash_point=crash_point, journal_url=journal_url
        )

    async def start_second(self) -> None:
        await self.start("trading-2", "trading", listen=self.second_address)

    async def start_projector(self, *module: str, crash_point: str = "") -> None:
        program = module or ("trading.projector",)
        await self.start("projector", *program, listen=self.queries_address, crash_point=crash_point)

    def events(self, name: str) -> list[str]:
        """The names of what the process has logged, one life after the other."""
        lines = (self.logs / f"{name}.log").read_text().splitlines()
        return [json.loads(line).get("event", "") for line in lines if line.startswith("{")]

    def signal(self, name: str, number: signal.Signals) -> None:
        self.running[name].send_signal(number)

    async def ended(self, name: str) -> int | None:
        """How it ended, once it has."""
        async with asyncio.timeout(START_SECONDS_MAX):
            return await self.running[name].wait()

    async def kill(self, name: str) -> None:
        self.signal(name, signal.SIGKILL)
        await self.running[name].wait()

    async def stop_all(self) -> None:
        for name, process in self.running.items():
            if process.returncode is None:
                await self.kill(name)


@asynccontextmanager
async def trading_stub(address: str, *, of: str = "gateway") -> AsyncIterator[Any]:
    """For the service `of`, to one address or several, of which one leads."""
    channel = open_leader_channel(address, to="trading", identity=identity_of(of), deadline_seconds=2.0)
    yield trading_pb2_grpc.TradingServiceStub(channel)
    await channel.close()


async def pay_everybody(address: str) -> None:
    async with trading_stub(address, of="portfolio") as stub:
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
    patience_seconds: float = ANSWER_SECONDS_MAX
    acknowledged: dict[str, str] = field(default_factory=dict)  # key -> order id
    in_doubt: set[str] = field(default_factory=set)  # keys of which once nobody could say what became of them
    contradictions: list[str] = field(default_factory=list)
    repeats: int = 0
    stopping: bool = False

    async def client(self, number: int) -> None:
        key = f"client-{number}-0"
        while not self.stopping:
            async with trading_stub(self.address) as stub:
                while not self.stopping:
                    call = stub.EnterOrders()
                    try:
                        while not self.stopping:
                            if await self._ask(call, number, key):
                                key = f"client-{number}-{len(self.acknowledged)}"
                    except TimeoutError:
                        self.in_doubt.add(key)
                        call.leave()
                    except (RemoteError, RemoteBugError, asyncio.InvalidStateError):
                        self.in_doubt.add(key)
                    finally:
                        call.cancel()
                    await asyncio.sleep(0.02)

    async def _ask(self, call: Any, number: int, key: str) -> bool:
        """True when the outcome is known."""
        request = trading_pb2.EnterOrdersRequest(
            correlation_id=1,
            principal=trading_pb2.Principal(user_id=USERS[number % len(USERS)], session_id="s", request_id=key),
            idempotency_key=key,
            deadline_milliseconds=int(time.time() * 1000) + 2_000,
            place_order=trading_pb2.PlaceOrder(market="BTC-USD", side="buy", type="market", quote_quantity="10"),
        )
        await call.write(request)
        answer = await asyncio.wait_for(call.read(), self.patience_seconds)
        if not isinstance(answer, trading_pb2.EnterOrdersResponse):  # grpc's end-of-stream mark
            raise RemoteBugError("the stream ended")
        if answer.HasField("result"):
            self._note(key, answer.result)
            return True
        if answer.failure.reason == NOT_LEADING:
            call.leave()
        if answer.failure.reason == OutcomeUnknown.reason:
            self.in_doubt.add(key)
        await asyncio.sleep(0.02)  # the exchange says "not now": the price is still on its way
        return False

    def _note(self, key: str, result: trading_pb2.OrderResult) -> None:
        self.repeats += result.replayed
        if result.replayed and key not in self.in_doubt:
            self.contradictions.append(key)  # each time before, it was told that nothing happened
        known = self.acknowledged.setdefault(key, result.order.id)
        if known != result.order.id:
            self.contradictions.append(key)


@asynccontextmanager
async def loaded(address: str, *, patience_seconds: float = ANSWER_SECONDS_MAX) -> AsyncIterator[Load]:
    """Clients trade during the block, and until the exchange has answered some more orders after it."""
    load = Load(address, patience_seconds)
    clients = [asyncio.create_task(load.client(number)) for number in range(IN_FLIGHT)]
    try:
        yield load
        await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
    finally:
        load.stopping = True
        _, unfinished = await asyncio.wait(clients, timeout=60)
        for client in unfinished:
            client.cancel()
        for client in clients:
            with suppress(asyncio.CancelledError):
                await client


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
