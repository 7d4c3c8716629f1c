"""Balances as they were at every 32nd of a user's events, so that those of any other moment are a short walk away."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from beanie import Document, SortDirection
from pydantic import BaseModel
from pymongo import ASCENDING, DESCENDING, IndexModel

from trading.domain.markets import Asset
from trading.domain.state import Owner
from trading.journal.batch import user_key
from trading.storage.decimals import to_decimal128, to_units

EVENTS_PER_POINT = 32  # a walk reads as many batches at most; a row costs 1/32 of what one row per event would


class PointBalance(BaseModel):
    asset: str
    available: Decimal
    held: Decimal


class BalancePointDocument(Document):
    """One user's balances right after one of their events."""

    id: str  # type: ignore[assignment]  # `user_key` of the event
    user_id: str
    sequence: int
    time: datetime
    batch: int
    balances: list[PointBalance]

    class Settings:
        name = "balance_points"
        indexes: ClassVar[list[IndexModel]] = [
            # "As of" a time asks for the newest point before it.
            IndexModel([("user_id", ASCENDING), ("time", DESCENDING)])
        ]


class BalancePoint(NamedTuple):
    """After the event `sequence`, or, at 0, before the first: (available, held) in minor units by asset."""

    sequence: int
    balances: Mapping[str, tuple[int, int]]


BEGINNING = BalancePoint(0, {})


def balance_point_row(
    owner: Owner, sequence: int, assets: Mapping[str, Asset], *, batch: int, time: datetime
) -> dict[str, Any]:
    return {
        "_id": user_key(owner.user_id, sequence),
        "user_id": owner.user_id,
        "sequence": sequence,
        "time": time,
        "batch": batch,
        "balances": [
            {
                "asset": code,
                "available": to_decimal128(account.available, assets[code].scale),
                "held": to_decimal128(account.held, assets[code].scale),
            }
            for code, account in owner.accounts.items()
        ],
    }


class BalancePoints:
    """Beanie must be initialised."""

    async def before_sequence(self, user_id: str, sequence: int, assets: Mapping[str, Asset]) -> BalancePoint:
        """The newest point at or before that event. The latest of all may not be written yet."""
        wanted = sequence // EVENTS_PER_POINT * EVENTS_PER_POINT
        while wanted > 0:
            found = await BalancePointDocument.get(user_key(user_id, wanted))
            if found is not None:
                return _point(found, assets)
            wanted -= EVENTS_PER_POINT
        return BEGINNING

    async def before_time(self, user_id: str, time: datetime, assets: Mapping[str, Asset]) -> BalancePoint:
        """The newest point at or before that time."""
        found = (
            await BalancePointDocument.find({"user_id": user_id, "time": {"$lte": time}})
            .sort([("time", SortDirection.DESCENDING), ("sequence", SortDirection.DESCENDING)])
            .limit(1)
            .to_list()
        )
        return _point(found[0], assets) if found else BEGINNING


def _point(document: BalancePointDocument, assets: Mapping[str, Asset]) -> BalancePoint:
    return BalancePoint(
        document.sequence,
        {
            part.asset: (
                to_units(part.available, assets[part.asset].scale),
                to_units(part.held, assets[part.asset].scale),
            )
            for part in document.balances
        },
    )
