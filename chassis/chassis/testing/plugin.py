"""Fixtures over real servers, started once per session and only when a test asks for them.

`CRYPTOVAULT_TEST_MONGO_URL` names a MongoDB replica set to use instead of the embedded one.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest
import structlog
from redis.asyncio import Redis

from chassis.embedded.mongo import MongoServer
from chassis.embedded.ports import free_port_block
from chassis.embedded.rabbitmq import PORTS_USED, RabbitServer
from chassis.embedded.redis import RedisServer
from chassis.mongo import MongoConnection, MongoDatabase, Transactions, connect
from chassis.testing.tcp_proxy import TcpProxy

GIVEN_MONGO = "CRYPTOVAULT_TEST_MONGO_URL"
NAME_BYTES = 4  # of a random database or namespace name; a session makes a few hundred at most


def pytest_configure() -> None:
    """Plain tracebacks: structlog's default draws the locals of every frame, which can block a loop for seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


class _TestServer(MongoServer):
    # Shared by hundreds of tests, some of which kill whoever has a transaction open. What that one has seen is kept for
    # it, and where it fills the cache the server waits for room that nobody makes.
    cache_size = "512M"
    # Nobody kills it. To make and drop a database of twelve collections took 1.1 s, most of it waiting for the disk,
    # a tenth of that without; it was half of the time of tests that use one.
    syncs_on_commit = False


@pytest.fixture(scope="session")
def mongo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running MongoDB (wire) server with transactions."""
    given = os.environ.get(GIVEN_MONGO)
    if given:
        yield given
        return
    with _TestServer(port=free_port_block(), folder=tmp_path_factory.mktemp("mongo")) as server:
        yield server.url


@pytest.fixture
async def mongo(mongo_url: str) -> AsyncIterator[MongoConnection]:
    """A connection to a fresh database with a random name, dropped afterwards."""
    connection = connect(mongo_url, f"test_{secrets.token_hex(NAME_BYTES)}")
    yield connection
    if not os.environ.get(GIVEN_MONGO):
        # A process killed inside a transaction keeps its rows: the embedded server would wait for them for ever, and
        # let nobody else in. Another one waits a minute, and may have other sessions than ours.
        await connection.client.admin.command("killAllSessions", [])
    await connection.client.drop_database(connection.database.name)
    await connection.close()


@pytest.fixture
def mongo_database(mongo: MongoConnection) -> MongoDatabase:
    """The fresh database of `mongo`; its name is `mongo_database.name`."""
    return mongo.database


@pytest.fixture
async def mongo_line(mongo_url: str, mongo: MongoConnection) -> AsyncIterator[tuple[MongoConnection, TcpProxy]]:
    """A second connection to the fresh database of `mongo`, and the line that it goes over."""
    server, port = urlsplit(mongo_url), free_port_block()
    proxy = TcpProxy(server.port or 27_017)
    async with proxy.serving(port):
        connection = connect(f"mongodb://127.0.0.1:{port}/?{server.query}", mongo.database.name)
        yield connection, proxy
        await connection.close()


@pytest.fixture
def transactions(mongo: MongoConnection) -> Transactions:
    return mongo.transactions


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(port=free_port_block(), folder=tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
async def redis_url(redis_server_url: str) -> str:
    """The URL of a Redis database that is empty at the start of each test."""
    async with Redis.from_url(redis_server_url) as client:
        await client.flushall()
    return redis_server_url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of an empty Redis; replies are bytes."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def amqp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running RabbitMQ."""
    with RabbitServer(port=free_port_block(PORTS_USED), folder=tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server.url


@pytest.fixture
def bus_namespace() -> str:
    """A random prefix for exchange and queue names, so that tests do not meet on the one broker."""
    return f"test-{secrets.token_hex(NAME_BYTES)}"
