"""The whole service on real Mongo, Redis and RabbitMQ; the exchange and the prices behind real gRPC."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from chassis.bus import Bus
from chassis.embedded.ports import free_port_block
from chassis.errors import ErrorKind, RemoteError
from chassis.grpc_client import open_channel
from chassis.identity import Caller, use_caller
from chassis.mongo import MongoDatabase
from chassis.service import Runtime
from chassis.testing import eventually
from chassis.testing.services import identity_of, key_settings
from cryptovault.auth.v1 import events_pb2 as auth_events
from cryptovault.portfolio.v1 import portfolio_pb2, portfolio_pb2_grpc
from cryptovault.trading.v1 import events_pb2 as trading_events
from grpc_health.v1 import health_pb2, health_pb2_grpc
from portfolio.bootstrap import compose
from portfolio.settings import Settings
from redis.asyncio import Redis

ANSWER_SECONDS_MAX = 20.0  # the gateway allows one; the machine may be building something else

Start = Callable[[], Any]


class Client:
    def __init__(self, channel: Any) -> None:
        self._portfolio = portfolio_pb2_grpc.PortfolioServiceStub(channel)
        self._health: Any = health_pb2_grpc.HealthStub(channel)

    async def portfolio(self, user_id: str | None) -> portfolio_pb2.Portfolio:
        """With what the fold knows by now: `behind` on a machine that is slow."""
        with use_caller(Caller(service="", user_id=user_id, session_id=None, request_id="r", address=None)):
            response: portfolio_pb2.GetPortfolioResponse = await self._portfolio.GetPortfolio(
                portfolio_pb2.GetPortfolioRequest(), timeout=ANSWER_SECONDS_MAX
            )
        return response.portfolio

    async def whole_portfolio(self, user_id: str) -> portfolio_pb2.Portfolio:
        """With everything that was committed before."""

        async def whole() -> portfolio_pb2.Portfolio | None:
            view = await self.portfolio(user_id)
            return None if view.behind else view

        view = await eventually(whole, timeout_seconds=60)
        assert view is not None
        return view

    async def serving(self) -> bool:
        reply = await self._health.Check(health_pb2.HealthCheckRequest())
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.fixture
def start(  # noqa: PLR0917 - fixtures, asked for by name
    mongo_url: str,
    mongo_database: MongoDatabase,
    redis_url: str,
    amqp_url: str,
    bus_namespace: str,
    neighbours_address: str,
) -> Callable[[], Any]:
    @asynccontextmanager
    async def started() -> AsyncIterator[Client]:
        settings = Settings.model_validate(
            {
                "profile": "test",
                "listen": f"127.0.0.1:{free_port_block()}",
                "mongo_url": mongo_url,
                "mongo_database": mongo_database.name,
                "redis_url": redis_url,
                "amqp_url": amqp_url,
                "bus_namespace": bus_namespace,
                "trading_address": neighbours_address,
                "trading_queries_address": neighbours_address,
                "market_data_address": neighbours_address,
                "practice_money": "10000",
                **key_settings("portfolio"),
            }
        )
        runtime = Runtime(settings)
        await compose(runtime)
        serving = asyncio.create_task(runtime.serve())
        try:
            async with open_channel(
                settings.listen, to="portfolio", identity=identity_of("gateway"), deadline_seconds=30
            ) as channel:
                client = Client(channel)
                await eventually(client.serving, timeout_seconds=60)
                yield client
        finally:
            runtime.stopping.set()
            assert await serving == 0

    return started


@pytest.fixture
async def client(start: Start) -> AsyncIterator[Client]:
    async with start() as client:
        yield client


@pytest.fixture
async def publish(amqp_url: str, bus_namespace: str) -> AsyncIterator[Callable[[Any, str], Awaitable[None]]]:
    bus = await Bus.connect(amqp_url, bus_namespace)

    async def send(event: Any, event_id: str) -> None:
        await bus.publish(event, id=event_id, subject="s", time=datetime(2026, 1, 1, tzinfo=UTC))

    yield send
    await bus.close()


async def test_a_verified_user_gets_practice_money_once_however_often_the_event_comes(
    client: Client, exchange: Any, publish: Any
) -> None:
    for event_id in ("e1", "e1", "e2"):
        await publish(auth_events.UserVerified(user_id="u"), event_id)

    async def cash() -> str:
        return (await client.portfolio("u")).cash

    async def paid() -> bool:
        return await cash() == "10000"

    await eventually(paid)
    await publish(auth_events.UserVerified(user_id="v"), "e3")
    await eventually(lambda: "practice:v" in exchange.keys)
    assert await cash() == "10000"
    assert exchange.keys == {"practice:u": "practice_money", "practice:v": "practice_money"}


async def test_practice_money_waits_for_an_exchange_that_is_away(client: Client, exchange: Any, publish: Any) -> None:
    exchange.down = True
    await publish(auth_events.UserVerified(user_id="u"), "e1")
    await eventually(lambda: any(caller.request_id == "e1" for caller in exchange.callers))
    exchange.down = False
    await eventually(lambda: "practice:u" in exchange.keys)


async def test_a_portfolio_joins_balances_prices_and_cost(client: Client, exchange: Any, market_data: Any) -> None:
    exchange.deposit("u", "USD", "10000")
    exchange.trade("u", "buy", "0.1", "48000", fee="12")
    exchange.hold("u", "USD", "1000")
    view = await client.whole_portfolio("u")
    dollars, bitcoin = view.holdings
    assert (bitcoin.symbol, bitcoin.name, bitcoin.amount, bitcoin.price) == ("BTC", "Bitcoin", "0.1", "50000")
    assert (bitcoin.value, bitcoin.average_cost, bitcoin.unrealized_pnl) == ("5000", "48120", "188")
    assert (dollars.symbol, dollars.amount, dollars.available, dollars.held) == ("USD", "5188", "4188", "1000")
    assert (bitcoin.allocation, dollars.allocation) == ("49.08", "50.92")
    assert (view.total_value, view.cash, view.realized_pnl) == ("10188", "5188", "0")


async def test_every_read_after_an_acknowledged_order_shows_it_whatever_is_cached(
    client: Client, exchange: Any, redis: Redis
) -> None:
    exchange.deposit("u", "USD", "10000")
    expected = 10000
    for _ in range(20):
        exchange.trade("u", "buy", "0.001", "50000")
        expected -= 50
        first, second = await client.portfolio("u"), await client.portfolio("u")
        assert int(first.cash) == int(second.cash) == expected
    await client.whole_portfolio("u")
    assert await redis.exists("cryptovault:portfolio:u")


async def test_a_cached_view_is_dropped_when_an_event_of_the_user_is_folded(
    client: Client, exchange: Any, redis: Redis, publish: Any
) -> None:
    for user_id in ("u", "v"):
        exchange.deposit(user_id, "USD", "100")
        await client.whole_portfolio(user_id)
    batch = exchange.hold("u", "USD", "40")
    await publish(trading_events.JournalAdvanced(batch=batch), "bell")

    async def dropped() -> bool:
        return not await redis.exists("cryptovault:portfolio:u")

    await eventually(dropped)
    assert await redis.exists("cryptovault:portfolio:v")


async def test_redis_lost_at_any_moment_changes_no_answer(client: Client, exchange: Any, redis: Redis) -> None:
    exchange.deposit("u", "USD", "100")
    before = await client.portfolio("u")
    await redis.flushall()
    after = await client.portfolio("u")
    assert (before.cash, before.batch) == (after.cash, after.batch) == ("100", 1)


async def test_a_lagging_projector_makes_the_read_say_so_within_its_bound(client: Client, exchange: Any) -> None:
    exchange.visible = 1
    exchange.deposit("u", "USD", "10000")
    exchange.trade("u", "buy", "0.1", "50000")
    started = asyncio.get_running_loop().time()
    view = await client.portfolio("u")
    # Bounded: the stand-in's reader would have waited for ever.
    assert asyncio.get_running_loop().time() - started < ANSWER_SECONDS_MAX
    assert view.behind
    assert view.cash == "5000"
    exchange.visible = None
    await client.whole_portfolio("u")


async def test_a_restart_folds_nothing_twice(start: Start, exchange: Any, mongo_database: MongoDatabase) -> None:
    exchange.deposit("u", "USD", "1000")
    exchange.trade("u", "buy", "0.01", "40000")
    for sale in range(3):
        async with start() as client:
            exchange.trade("u", "sell", "0.001", "50000")
            view = await client.whole_portfolio("u")
            assert view.realized_pnl == str(10 * (sale + 1))
    row = await mongo_database["portfolios"].find_one({"user_id": "u"})
    assert row is not None
    assert row["batch"] == 5
    assert await mongo_database["portfolios"].count_documents({}) == 1


async def test_both_sides_of_a_trade_between_users_are_folded(client: Client, exchange: Any) -> None:
    exchange.deposit("buyer", "USD", "100")
    exchange.deposit("seller", "ETH", "1")
    exchange.trade("buyer", "buy", "0.5", "100", maker="seller", base="ETH")
    assert (await client.whole_portfolio("buyer")).holdings[0].average_cost == "100"
    assert (await client.whole_portfolio("seller")).realized_pnl == "50"


async def test_a_poison_batch_stops_the_fold_and_reads_say_that_they_are_behind(client: Client, exchange: Any) -> None:
    exchange.deposit("u", "USD", "100")
    await client.whole_portfolio("u")
    exchange.available["u"]["BTC"] = 5
    exchange.trade("u", "sell", "5", "100")

    async def behind() -> bool:
        return (await client.portfolio("u")).behind

    await eventually(behind, timeout_seconds=60)
    view = await client.portfolio("u")
    assert view.cash == "600"


async def test_who_is_not_signed_in_has_no_portfolio(client: Client) -> None:
    with pytest.raises(RemoteError) as raised:
        await client.portfolio(None)
    assert raised.value.kind is ErrorKind.UNAUTHENTICATED


async def test_without_the_exchange_a_read_is_unavailable(client: Client, exchange: Any) -> None:
    exchange.down = True
    with pytest.raises(RemoteError) as raised:
        await client.portfolio("u")
    assert raised.value.kind is ErrorKind.UNAVAILABLE


async def test_prices_are_followed(client: Client, exchange: Any, market_data: Any) -> None:
    exchange.deposit("u", "BTC", "1")
    assert (await client.portfolio("u")).total_value == "50000"
    market_data.set_price("BTC", "51000")
    # A new batch of the user, so that the cached view does not answer.

    async def followed() -> bool:
        exchange.deposit("u", "USD", "1")
        return (await client.portfolio("u")).holdings[0].value == "51000"

    await eventually(followed)
