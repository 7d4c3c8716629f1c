import asyncio

import pytest
from chassis.inbox import Inbox
from chassis.mongo import MongoDatabase, Transactions


@pytest.fixture
def inbox(mongo_database: MongoDatabase, transactions: Transactions) -> Inbox:
    return Inbox(mongo_database, transactions)


async def test_a_repeat_has_no_effect(mongo_database: MongoDatabase, inbox: Inbox) -> None:
    async def work() -> None:
        await mongo_database["credits"].insert_one({"user": "ann"})

    assert await inbox.once("portfolio.user-verified", "1", work)
    assert not await inbox.once("portfolio.user-verified", "1", work)
    assert await mongo_database["credits"].count_documents({}) == 1


async def test_two_subscriptions_each_apply_the_event(mongo_database: MongoDatabase, inbox: Inbox) -> None:
    async def work() -> None:
        await mongo_database["credits"].insert_one({"user": "ann"})

    assert await inbox.once("one", "1", work)
    assert await inbox.once("two", "1", work)
    assert await mongo_database["credits"].count_documents({}) == 2


async def test_a_failed_application_is_forgotten_and_may_come_again(
    mongo_database: MongoDatabase, inbox: Inbox
) -> None:
    fail = True

    async def work() -> None:
        await mongo_database["credits"].insert_one({"user": "ann"})
        if fail:
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        await inbox.once("one", "1", work)
    assert await mongo_database["credits"].count_documents({}) == 0
    fail = False
    assert await inbox.once("one", "1", work)
    assert await mongo_database["credits"].count_documents({}) == 1


async def test_deliveries_at_once_apply_once(mongo_database: MongoDatabase, inbox: Inbox) -> None:
    async def work() -> None:
        await mongo_database["credits"].insert_one({"user": "ann"})

    applied = await asyncio.gather(*(inbox.once("one", "1", work) for _ in range(8)))
    assert applied.count(True) == 1
    assert await mongo_database["credits"].count_documents({}) == 1


async def test_rows_are_forgotten_by_an_index(mongo_database: MongoDatabase, inbox: Inbox) -> None:
    await inbox.create_indexes()
    indexes = await mongo_database["inbox"].index_information()
    assert indexes["applied_at_1"]["expireAfterSeconds"] == 90 * 24 * 3600
