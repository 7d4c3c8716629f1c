"""Two replicas and one journal: whichever leads is stopped, the other goes on, and nobody is told two stories."""

import asyncio
import signal
from typing import Any
from urllib.parse import urlsplit

import pytest
from chassis.errors import RemoteError
from chassis.grpc_client import open_channel
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoConnection
from chassis.testing import eventually
from chassis.testing.services import identity_of
from chassis.testing.tcp_proxy import TcpProxy
from cryptovault.trading.v1 import trading_pb2
from exchange_processes import (
    ORDERS_BETWEEN,
    START_SECONDS_MAX,
    Processes,
    advances,
    pay_everybody,
    trading_stub,
)
from grpc_health.v1 import health_pb2, health_pb2_grpc
from order_load import Load, check_outcomes, loaded
from price_server import PriceServer
from trading.domain.events import TradingPaused
from trading.storage.price_notes import MongoPriceNotes
from whole_journal import read_whole_journal

LEASE_SECONDS = 1.5  # half the default: these tests end leaders by the dozen
JUMPED_PRICE = 68_000  # from 60,000
SERVICE = "cryptovault.trading.v1.TradingService"
READER = Caller("gateway", "user-0", "session", "request-1", "203.0.113.7")


async def serves(address: str, service: str = "") -> bool:
    channel = open_channel(address, to="trading", identity=identity_of("gateway"))
    try:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stubs name no methods
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    finally:
        await channel.close()
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def refused_read(address: str) -> str:
    """Why a read from memory at that address was refused; empty where it was answered."""
    async with trading_stub(address) as stub:
        with use_caller(READER):
            try:
                await stub.GetBalances(trading_pb2.GetBalancesRequest(), timeout=START_SECONDS_MAX)
            except RemoteError as refusal:
                return refusal.reason
    return ""


class Pair:
    """The replicas by role; the one that led before is started again as the follower."""

    def __init__(self, processes: Processes) -> None:
        processes.lease_seconds = LEASE_SECONDS
        self.processes = processes
        self.leader = "trading"

    @property
    def follower(self) -> str:
        return "trading-2" if self.leader == "trading" else "trading"

    @property
    def addresses(self) -> str:
        return f"{self.processes.trading_address},{self.processes.second_address}"

    def address(self, name: str) -> str:
        return self.processes.trading_address if name == "trading" else self.processes.second_address

    async def start(self, name: str, journal_url: str = "") -> None:
        if name == "trading":
            await self.processes.start_trading(journal_url=journal_url)
        else:
            await self.processes.start_second()

    async def start_both(self, journal_url: str = "") -> None:
        await self.start("trading", journal_url)
        await pay_everybody(self.processes.trading_address)
        await self.start("trading-2")
        await eventually(lambda: serves(self.processes.second_address), START_SECONDS_MAX)
        await self.processes.start_projector()  # what is repeated after a takeover is answered from its rows

    async def swap(self) -> None:
        """The leader that was ended comes back and follows."""
        self.leader = self.follower
        await self.start(self.follower)
        await eventually(lambda: serves(self.address(self.follower)), START_SECONDS_MAX)


async def stop_and_resume(pair: Pair, load: Load) -> None:
    """The leader stands still for longer than its lease; once awake it must not answer what it was asked meanwhile."""
    pair.processes.signal(pair.leader, signal.SIGSTOP)
    asked = [asyncio.create_task(refused_read(pair.address(pair.leader))) for _ in range(5)]
    await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
    pair.processes.signal(pair.leader, signal.SIGCONT)
    assert set(await asyncio.gather(*asked)) <= {"not_leading", "unavailable"}
    await pair.processes.ended(pair.leader)
    ends = [
        event for event in pair.processes.events(pair.leader) if event in {"process_must_end", "background_crashed"}
    ]
    assert ends[-1] == "process_must_end"


async def kill_outright(pair: Pair, load: Load) -> None:
    await pair.processes.kill(pair.leader)
    await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)


async def test_a_follower_says_that_it_follows(processes: Processes) -> None:
    pair = Pair(processes)
    await pair.start_both()
    assert await serves(pair.address("trading"), SERVICE)
    assert not await serves(pair.address("trading-2"), SERVICE)
    assert await refused_read(pair.address("trading-2")) == "not_leading"
    assert await refused_read(pair.addresses) == ""
    await processes.kill("trading")
    # No longer ready to follow anybody, then the leader.
    await eventually(lambda: serves(pair.address("trading-2"), SERVICE), START_SECONDS_MAX)
    assert await refused_read(pair.address("trading-2")) == ""


async def paused(mongo: MongoConnection) -> bool:
    journal = await read_whole_journal(mongo)
    return any(isinstance(event, TradingPaused) for event in journal.events)


async def test_a_follower_that_takes_over_has_seen_the_prices_of_before(
    processes: Processes, prices: PriceServer, mongo: MongoConnection
) -> None:
    pair = Pair(processes)
    await pair.start_both()
    await eventually(lambda: prices.streams == 2, START_SECONDS_MAX)
    # The journal knows no price: nobody has traded. Only who listened knows that this is a jump.
    await processes.kill("trading")
    prices.price = JUMPED_PRICE
    await eventually(lambda: serves(processes.second_address, SERVICE), START_SECONDS_MAX)
    await eventually(lambda: paused(mongo), START_SECONDS_MAX)


async def test_a_leader_that_comes_back_alone_knows_the_prices_of_before(
    processes: Processes, prices: PriceServer, mongo: MongoConnection
) -> None:
    await processes.start_trading()

    async def noted() -> bool:
        return "BTC-USD" in (await MongoPriceNotes(mongo.database).load())[0]

    await eventually(noted, START_SECONDS_MAX)
    await processes.kill("trading")
    prices.price = JUMPED_PRICE
    await processes.start_trading()
    await eventually(lambda: paused(mongo), START_SECONDS_MAX)


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_stopped_and_killed_leaders_are_followed_without_a_loss(
    processes: Processes, mongo: MongoConnection, rounds: int
) -> None:
    pair = Pair(processes)
    await pair.start_both()
    async with loaded(pair.addresses) as load:
        await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
        for _ in range(rounds):
            for end_of_leader in (stop_and_resume, kill_outright):
                await end_of_leader(pair, load)
                await pair.swap()
    check_outcomes(load, await read_whole_journal(mongo))


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
async def test_an_append_that_is_let_go_after_the_takeover_changes_nothing(
    processes: Processes, mongo: MongoConnection, rounds: int
) -> None:
    server = urlsplit(processes.mongo_url)
    assert server.port is not None
    proxy = TcpProxy(server.port)
    through_proxy = f"mongodb://127.0.0.1:{processes.ports + 4}/?{server.query}"
    async with proxy.serving(processes.ports + 4):
        pair = Pair(processes)
        await pair.start_both(through_proxy)
        async with loaded(pair.addresses) as load:
            await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
            for _ in range(rounds):
                proxy.hold()
                # Orders go on until one of them has its append on the way.
                await eventually(lambda: proxy.held_bytes > 0, START_SECONDS_MAX)
                await asyncio.sleep(0.1)
                processes.signal("trading", signal.SIGSTOP)
                await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
                proxy.let_go()
                proxy.held_bytes = 0
                await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
                processes.signal("trading", signal.SIGCONT)
                await pair.processes.ended("trading")
                # Back to the beginning: the one behind the proxy leads again.
                await pair.start("trading", through_proxy)
                await eventually(lambda: serves(processes.trading_address), START_SECONDS_MAX)
                await processes.kill("trading-2")
                await advances(lambda: len(load.acknowledged), by=ORDERS_BETWEEN)
                await pair.start("trading-2")
                await eventually(lambda: serves(processes.second_address), START_SECONDS_MAX)
        check_outcomes(load, await read_whole_journal(mongo))
