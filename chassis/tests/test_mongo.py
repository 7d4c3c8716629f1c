import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import pymongo.lock
import pytest
from beanie import Document
from chassis.mongo import MongoConnection, MongoDatabase, Transactions, TransactionTimedOut, init_documents
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

T = TypeVar("T")


class Invoice(Document):
    number: UUID
    amount: Decimal
    issued_at: datetime

    class Settings:
        name = "invoices"


async def test_an_index_that_is_defined_anew_takes_the_place_of_the_old_one(mongo_database: MongoDatabase) -> None:
    class Visit(Document):
        at: datetime

        class Settings:
            name = "visits"
            indexes: ClassVar = [IndexModel("at", expireAfterSeconds=60)]

    await init_documents(mongo_database, [Visit])
    Visit.Settings.indexes[:] = [IndexModel("at", expireAfterSeconds=120)]
    await init_documents(mongo_database, [Visit])
    assert (await mongo_database["visits"].index_information())["at_1"]["expireAfterSeconds"] == 120


async def test_another_process_may_drop_the_index_first_that_is_defined_anew(
    mongo_database: MongoDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Visit(Document):
        class Settings:
            name = "visits"
            indexes: ClassVar = [IndexModel("at")]

    visits = mongo_database["visits"]
    await visits.create_index("at", sparse=True)
    collection = type(visits)
    drop = collection.drop_index

    async def drop_too_late(self: Any, name: str, **more: Any) -> None:
        monkeypatch.undo()
        await drop(self, name)
        await drop(self, name, **more)

    monkeypatch.setattr(collection, "drop_index", drop_too_late)
    await init_documents(mongo_database, [Visit])
    assert "sparse" not in (await visits.index_information())["at_1"]
    assert collection.drop_index is drop


async def test_a_transaction_commits_what_it_wrote(mongo: MongoConnection, transactions: Transactions) -> None:
    async def work() -> str:
        await mongo.database["left"].insert_one({"_id": 1})
        await mongo.database["right"].insert_one({"_id": 1})
        return "done"

    assert await transactions.run(work) == "done"
    # With the driver's default `bind` the rows would be lost and nothing would have said so.
    assert await mongo.database["left"].count_documents({}) == 1
    assert await mongo.database["right"].count_documents({}) == 1


async def test_calls_inside_see_each_other_and_others_see_nothing_before_the_commit(
    mongo: MongoConnection, transactions: Transactions
) -> None:
    rows = mongo.database["rows"]
    await rows.insert_one({"_id": 0})
    seen: list[int] = []

    async def work() -> None:
        await rows.insert_one({"_id": 1})
        seen.append(await rows.count_documents({}))
        seen.append(await outside(lambda: rows.count_documents({})))

    await transactions.run(work)
    assert seen == [2, 1]
    assert await rows.count_documents({}) == 2


async def test_an_exception_aborts_everything(mongo: MongoConnection, transactions: Transactions) -> None:
    async def work() -> None:
        await mongo.database["left"].insert_one({"_id": 1})
        await mongo.database["right"].insert_one({"_id": 1})
        raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await transactions.run(work)
    assert await mongo.database["left"].count_documents({}) == 0
    assert await mongo.database["right"].count_documents({}) == 0


async def test_a_run_inside_a_run_joins_it(mongo: MongoConnection, transactions: Transactions) -> None:
    async def inner() -> None:
        await mongo.database["rows"].insert_one({"_id": "inner"})

    async def outer() -> None:
        await transactions.run(inner)
        raise RuntimeError("after the inner one")

    with pytest.raises(RuntimeError, match="after the inner one"):
        await transactions.run(outer)
    assert await mongo.database["rows"].count_documents({}) == 0


async def test_a_conflicting_transaction_is_run_again(mongo: MongoConnection, transactions: Transactions) -> None:
    rows = mongo.database["rows"]
    await rows.insert_one({"_id": 1, "count": 0})
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        await rows.find_one({"_id": 1})
        if tries == 1:
            await outside(lambda: rows.update_one({"_id": 1}, {"$inc": {"count": 10}}))
        await rows.update_one({"_id": 1}, {"$inc": {"count": 1}})

    await transactions.run(work)
    assert tries == 2
    assert await rows.find_one({"_id": 1}) == {"_id": 1, "count": 11}


async def test_a_duplicate_key_aborts_and_travels_on(mongo: MongoConnection, transactions: Transactions) -> None:
    rows = mongo.database["rows"]
    await rows.insert_one({"_id": 1})

    async def work() -> None:
        await rows.insert_one({"_id": 2})
        await rows.insert_one({"_id": 1})

    with pytest.raises(DuplicateKeyError):
        await transactions.run(work)
    assert await rows.count_documents({}) == 1


async def test_a_transaction_that_never_ends_is_given_up(mongo: MongoConnection, transactions: Transactions) -> None:
    rows = mongo.database["rows"]
    await rows.insert_one({"_id": 1})

    async def work() -> None:
        # A swallowed duplicate key: the server has aborted, so the commit asks for another try, for ever.
        try:
            await rows.insert_one({"_id": 1})
        except DuplicateKeyError:
            return

    with pytest.raises(TransactionTimedOut):
        await transactions.run(work, deadline_seconds=0.5)


async def test_decimals_times_and_ids_survive_the_round_trip(mongo: MongoConnection) -> None:
    await init_documents(mongo.database, [Invoice])
    number, issued_at = uuid4(), datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    await Invoice(number=number, amount=Decimal("123456789.000000010"), issued_at=issued_at).insert()
    found = await Invoice.find_one(Invoice.number == number)
    assert found is not None
    assert str(found.amount) == "123456789.000000010"
    assert found.issued_at == issued_at
    assert found.number == number


async def outside(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a call in a context of its own, so that it does not join the transaction around it."""
    return await asyncio.get_running_loop().create_task(call(), context=Context())


async def test_who_gives_up_as_the_drivers_wait_runs_out_takes_no_lock_along() -> None:
    """As in server selection, where the driver waits for news half a second at a time, with the lock of every call."""
    condition = pymongo.lock._async_create_condition(pymongo.lock._async_create_lock())
    waits = asyncio.Event()

    async def caller() -> None:
        async with condition:
            waits.set()
            await pymongo.lock._async_cond_wait(condition, 0.01)

    gives_up = asyncio.create_task(caller())
    await waits.wait()
    async with condition:
        await asyncio.sleep(0.1)  # its wait has run out and it wants the lock again, which is ours
        gives_up.cancel()
    await asyncio.wait([gives_up], timeout=1)
    assert gives_up.cancelled()
    async with asyncio.timeout(1):
        await condition.acquire()
