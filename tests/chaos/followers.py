"""What the other services have made of the journal, from their own databases."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from chassis.mongo import MongoDatabase, connect


@dataclass(frozen=True, slots=True)
class Followed:
    """Of one user: order ids in the audit trail and in what the application tells, the portfolio's amounts by asset."""

    entered: Counter[str]
    told: Counter[str]
    held: dict[str, Decimal]


async def followed(mongo_url: str, user_id: str) -> Followed:
    async with _database(mongo_url, "auth") as auth:
        placed = auth["audit_logs"].find({"user_id": UUID(user_id), "action": "order_placed"})
        entered = Counter([row["resource"].removeprefix("order:") async for row in placed])
    async with _database(mongo_url, "notifications") as notifications:
        rows = notifications["notifications"].find({"user_id": user_id})
        told = Counter([row["_id"].removeprefix("order-filled:") async for row in rows])
    async with _database(mongo_url, "portfolio") as portfolio:
        row = await portfolio["portfolios"].find_one({"user_id": user_id})
        held = {one["symbol"]: one["amount"] for one in (row or {"holdings": []})["holdings"] if one["amount"]}
    return Followed(entered, told, held)


@asynccontextmanager
async def _database(mongo_url: str, name: str) -> AsyncIterator[MongoDatabase]:
    connection = connect(mongo_url, name)
    try:
        yield connection.database
    finally:
        await connection.close()
