"""The service as it is started: a process with a real Redis, followed over real gRPC."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import orjson
from chassis.embedded.ports import free_port_block
from chassis.grpc_client import open_channel
from chassis.testing import eventually
from chassis.testing.services import identity_of, key_settings
from cryptovault.market_data.v1 import market_data_pb2 as pb
from cryptovault.market_data.v1.market_data_pb2_grpc import MarketDataServiceStub
from redis.asyncio import Redis

STOP_SECONDS_MAX = 30.0


@asynccontextmanager
async def market_data(port: int, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        "PATH": os.environ["PATH"],
        "CRYPTOVAULT_PROFILE": "test",
        "CRYPTOVAULT_LISTEN": f"127.0.0.1:{port}",
        **{f"CRYPTOVAULT_{name.upper()}": value for name, value in key_settings("market-data").items()},
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "market_data", env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_process_streams_live_prices_caches_them_and_stops_promptly(redis_url: str, redis: Redis) -> None:
    port = free_port_block()
    async with (
        market_data(port, CRYPTOVAULT_REDIS_URL=redis_url) as process,
        open_channel(
            f"127.0.0.1:{port}", to="market-data", identity=identity_of("gateway"), deadline_seconds=30
        ) as channel,
    ):
        stub = MarketDataServiceStub(channel)

        async def answered() -> pb.GetPricesResponse:
            return await stub.GetPrices(pb.GetPricesRequest())

        assert len((await eventually(answered, timeout_seconds=60)).prices) == 20
        stream = aiter(stub.StreamPrices(pb.StreamPricesRequest()))
        snapshot, change = await anext(stream), await anext(stream)
        assert (snapshot.snapshot, len(snapshot.prices), change.sequence) == (True, 20, 2)
        old, new = snapshot.prices[0], change.prices[0]
        assert abs(Decimal(new.price) / Decimal(old.price) - 1) < Decimal("0.002")
        document = await redis.get("cryptovault:prices:all")
        assert [row["symbol"] for row in orjson.loads(document or b"")] == [price.symbol for price in snapshot.prices]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS_MAX):
            assert await process.wait() == 0


async def test_the_pro_plan_without_a_key_is_refused_at_start(redis_url: str) -> None:
    async with market_data(
        free_port_block(),
        CRYPTOVAULT_REDIS_URL=redis_url,
        CRYPTOVAULT_PRICE_PROVIDER="coingecko",
        CRYPTOVAULT_COINGECKO_PLAN="pro",
    ) as process:
        async with asyncio.timeout(60):
            assert await process.wait() == 78
