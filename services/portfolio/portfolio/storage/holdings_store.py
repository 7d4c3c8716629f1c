"""The `portfolios` collection, as the product document lays it out, and with what each asset cost."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

from beanie import Document
from chassis.errors import Unavailable
from chassis.ids import Ids
from pydantic import BaseModel
from pymongo import ASCENDING, IndexModel, InsertOne, UpdateOne

from portfolio.domain.exact import ZERO
from portfolio.domain.holdings import Holdings
from portfolio.domain.position import Position
from portfolio.use_cases.ports import ValuedHoldings


class HoldingRecord(BaseModel):
    """`value` and `allocation` as they were at `updated_at`; `amount`, `cost` and `realized_pnl` are exact."""

    symbol: str
    name: str
    amount: Decimal
    value: Decimal | None
    allocation: Decimal
    cost: Decimal
    realized_pnl: Decimal


class PortfolioDocument(Document):
    id: UUID  # type: ignore[assignment] # beanie's own default is an ObjectId
    user_id: str
    holdings: list[HoldingRecord]
    # The journal batch of the newest fact in here.
    batch: int
    updated_at: datetime

    class Settings:
        name = "portfolios"
        indexes = (IndexModel([("user_id", ASCENDING)], unique=True, name="user_id"),)


class StaleRow(Unavailable):
    """A row is not the one that was read: another instance folds too. The transaction is run again from the cursor."""

    reason = "stale_portfolio_row"

    def __init__(self) -> None:
        super().__init__("Another instance has folded meanwhile.")


class MongoHoldingsStore:
    """Raw rows on the hot paths: validating each through a model would cost more than reading it."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._rows = PortfolioDocument.get_pymongo_collection()

    async def get(self, user_id: str) -> Holdings:
        row = await self._rows.find_one({"user_id": user_id})
        return Holdings(user_id) if row is None else _holdings(row)

    async def get_many(self, user_ids: Iterable[str]) -> dict[str, Holdings]:
        wanted = list(user_ids)
        found = {user_id: Holdings(user_id) for user_id in wanted}
        async for row in self._rows.find({"user_id": {"$in": wanted}}):
            found[row["user_id"]] = _holdings(row)
        return found

    async def save(self, changed: Sequence[ValuedHoldings]) -> None:
        """Insert what is new, update the rest where it is still what was read.

        Raises:
            StaleRow: a row has moved on; nothing of ours may commit.
        """
        writes: list[InsertOne[dict[str, Any]] | UpdateOne] = []
        for valued in changed:
            user_id = valued.holdings.user_id
            row = _row(valued)
            if valued.previous_batch == 0:
                writes.append(InsertOne({"_id": self._ids.new(), "user_id": user_id, **row}))
            else:
                writes.append(UpdateOne({"user_id": user_id, "batch": valued.previous_batch}, {"$set": row}))
        result = await self._rows.bulk_write(writes, ordered=False)
        if result.inserted_count + result.matched_count != len(writes):
            raise StaleRow


def _row(valued: ValuedHoldings) -> dict[str, Any]:
    return {
        "holdings": [
            HoldingRecord(
                symbol=position.asset,
                name=valued.names.get(position.asset, position.asset),
                amount=position.quantity,
                value=valued.values.get(position.asset),
                allocation=valued.allocations.get(position.asset, ZERO),
                cost=position.cost,
                realized_pnl=position.realized,
            ).model_dump()
            for position in valued.holdings.positions.values()
        ],
        "batch": valued.holdings.batch,
        "updated_at": valued.updated_at,
    }


def _holdings(row: dict[str, Any]) -> Holdings:
    positions = {
        record["symbol"]: Position(
            asset=record["symbol"],
            quantity=record["amount"],
            cost=record["cost"],
            realized=record["realized_pnl"],
        )
        for record in row["holdings"]
    }
    return Holdings(row["user_id"], row["batch"], MappingProxyType(positions))
