"""The database: one way to connect, one way to run a transaction."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

import pymongo
import pymongo.lock
from beanie import Document, init_beanie
from bson import Decimal128
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from chassis.errors import Unavailable

T = TypeVar("T")
MongoDatabase = AsyncDatabase[dict[str, Any]]

TRANSACTION_DEADLINE_SECONDS = 5.0  # PyMongo itself would retry for 120 s; a caller of ours is gone by then
SERVER_SELECTION_MILLISECONDS = 5000  # an election takes a few seconds; longer is an outage to report, not to wait for
POOL_SIZE_MAX = 50  # connections per process; each costs the server memory and a thread

# IndexOptionsConflict, IndexKeySpecsConflict; IndexNotFound where another process of ours drops the same one.
_INDEX_CONFLICTS = frozenset({85, 86, 27})
INDEX_ATTEMPTS_MAX = 5  # two processes start with the same documents, and a few indexes change at a time

# The transaction that the current task is in, so that a use case inside another joins it.
_active: ContextVar[AsyncClientSession | None] = ContextVar("cryptovault_transaction", default=None)


async def _wait_for(waiting: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - the signature of asyncio's own
    async with asyncio.timeout(timeout):
        return await waiting


if sys.version_info < (3, 12):
    # Until 3.12 asyncio's waits in a task of its own. Whoever is cancelled just as such a wait of the driver's runs out
    # leaves that task behind, and it takes the lock of all server selection with it: nothing asks this client any more.
    pymongo.lock.wait_for = _wait_for  # type: ignore[attr-defined, assignment]


class DurableWrites(WriteConcern):
    """Majority and journaled, except on a call inside a transaction, where only the commit may carry a concern.

    PyMongo drops a collection's concern for a session passed as an argument, but not for a bound one, and the
    server refuses the call.
    """

    __slots__ = ()

    @property
    def is_server_default(self) -> bool:
        return _active.get() is not None or super().is_server_default


DURABLE = DurableWrites(w="majority", j=True)  # acknowledged means it survives a crash and an election
COMMITTED = ReadConcern("majority")  # never reads what could still be rolled back
SNAPSHOT = ReadConcern("snapshot")


class DecimalCodec(TypeCodec):
    """Stores `Decimal` as Decimal128 and reads it back; without it Beanie writes what it cannot read."""

    @property
    def python_type(self) -> type[Decimal]:
        return Decimal

    @property
    def bson_type(self) -> type[Decimal128]:
        return Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        """Raises decimal.Inexact where a value has more than 34 digits: nothing is rounded in silence."""
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


CODEC_OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    document_class=dict,
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    type_registry=TypeRegistry([DecimalCodec()]),
)


@dataclass(frozen=True, slots=True)
class MongoConnection:
    """A client and the one database that this service owns."""

    client: AsyncMongoClient[dict[str, Any]]
    database: MongoDatabase
    url: str = field(repr=False)  # for whoever needs another kind of client; may hold a password

    @property
    def transactions(self) -> "Transactions":
        return Transactions(self.client)

    async def ping(self) -> None:
        """Returns when a primary answers.

        Raises:
            DatabaseUnavailable: none does.
        """
        try:
            await self.client.admin.command("ping")
        except PyMongoError as error:
            raise DatabaseUnavailable from error

    async def close(self) -> None:
        await self.client.close()


def connect(url: str, database: str) -> MongoConnection:
    """A connection whose writes are durable, reads committed, times aware and decimals exact.

    Connects on first use; `await connection.ping()` says whether it can. Belongs to the running event loop.
    """
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        url,
        tz_aware=True,
        uuidRepresentation="standard",
        serverSelectionTimeoutMS=SERVER_SELECTION_MILLISECONDS,
        maxPoolSize=POOL_SIZE_MAX,
        appname=database,
    )
    return MongoConnection(
        client,
        client.get_database(
            database,
            codec_options=CODEC_OPTIONS,
            read_preference=ReadPreference.PRIMARY,
            write_concern=DURABLE,
            read_concern=COMMITTED,
        ),
        url,
    )


async def init_documents(database: MongoDatabase, documents: Sequence[type[Document]]) -> None:
    """Makes the Beanie documents usable on that database and creates their indexes.

    Where an index is defined otherwise than in an earlier version, the old one makes way.
    """
    dropping = False  # only where it must be: an index may be one that somebody else has made
    for left in reversed(range(INDEX_ATTEMPTS_MAX)):
        try:
            await init_beanie(database=database, document_models=list(documents), allow_index_dropping=dropping)
        except OperationFailure as error:
            if error.code not in _INDEX_CONFLICTS or not left:
                raise
            dropping = True
        else:
            return


class DatabaseUnavailable(Unavailable):
    """The connection to the database was lost. If only the commit's answer was lost, it may have happened."""

    reason = "database_unavailable"

    def __init__(self) -> None:
        super().__init__("The database does not answer.")


@contextmanager
def database_errors() -> Iterator[None]:
    """Outside of transactions: raises DatabaseUnavailable where the connection is lost. What was being written may be
    there all the same.
    """
    try:
        yield
    except ConnectionFailure as error:
        raise DatabaseUnavailable from error


def lost_connection(error: Exception) -> DatabaseUnavailable | None:
    """What a call is answered with that ended in `error`, where that is the loss of the connection."""
    return DatabaseUnavailable() if isinstance(error, ConnectionFailure) else None


class TransactionTimedOut(Unavailable):
    """A transaction did not commit in time. If only the commit's answer was lost, it may have happened."""

    reason = "transaction_timed_out"

    def __init__(self, *, deadline_seconds: float) -> None:
        super().__init__("The database did not finish in time.", deadline_seconds=str(deadline_seconds))


class Transactions:
    """Runs work in a transaction: snapshot reads, majority and journaled commit."""

    def __init__(self, client: AsyncMongoClient[dict[str, Any]], session: AsyncClientSession | None = None) -> None:
        """`session`: all runs, one after the other, use that one. Otherwise each has its own."""
        self._client = client
        self._session = session

    async def run(self, work: Callable[[], Awaitable[T]], deadline_seconds: float = TRANSACTION_DEADLINE_SECONDS) -> T:
        """Every database call that `work` awaits is part of one transaction, which commits when it returns.

        An exception in `work` aborts it and travels on. `work` may run more than once, so it holds database
        calls only, one after the other: no RPC, no publish, no `asyncio.gather`. A conflict is retried; do not
        catch DuplicateKeyError inside, the server has aborted the transaction by then. A run inside a run joins it.

        Raises:
            TransactionTimedOut: it did not commit within the deadline.
            DatabaseUnavailable: the database went away meanwhile.
        """
        if _active.get() is not None:
            return await work()

        async def joined(session: AsyncClientSession) -> T:
            # end_session=False: with the default the session ends with the block, which aborts the transaction
            # while with_transaction returns as if all were well.
            async with session.bind(end_session=False):
                token = _active.set(session)
                try:
                    return await work()
                finally:
                    _active.reset(token)

        try:
            with pymongo.timeout(deadline_seconds):
                async with nullcontext(self._session) if self._session else self._client.start_session() as session:
                    return await session.with_transaction(
                        joined, read_concern=SNAPSHOT, write_concern=DURABLE, read_preference=ReadPreference.PRIMARY
                    )
        except PyMongoError as error:
            if error.timeout:
                raise TransactionTimedOut(deadline_seconds=deadline_seconds) from error
            if isinstance(error, ConnectionFailure):
                raise DatabaseUnavailable from error
            raise
