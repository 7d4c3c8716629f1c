"""Real processes of the exchange, and how a test reaches them."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chassis.leader_channel import open_leader_channel
from chassis.testing import eventually
from chassis.testing.services import identity_of, key_settings
from cryptovault.trading.v1 import trading_pb2, trading_pb2_grpc
from local_stack.nursery.nursery import ForkedProcess, Nursery

USERS = [f"user-{index}" for index in range(4)]
START_SECONDS_MAX = 90.0  # one in peace; the machine may be running all other tests
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

    async def start_projector(self, *module: str, crash_point: str = "", journal_url: str = "") -> None:
        program = module or ("trading.projector",)
        await self.start(
            "projector", *program, listen=self.queries_address, crash_point=crash_point, journal_url=journal_url
        )

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


async def advances(count: Callable[[], int], by: int) -> None:
    before = count()
    await eventually(lambda: count() >= before + by, START_SECONDS_MAX)
