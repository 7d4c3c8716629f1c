"""Balances as they were at every 32nd of a user's events, so that those of any other moment are a short walk away."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from beanie import Document
from pydantic import BaseModel
from pymongo import IndexModel

from trading.domain.markets import Asset
from trading.domain.state import Owner
from trading.journal.batch import user_key
from trading.storage.decimals import to_decimal128, to_units

EVENTS_PER_POINT = 32  # a walk reads as many batches at most; a row costs 1/32 of what one row per event would
POINTS_PER_LOOK = 64  # each costs the local server some 30 µs


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
        indexes: ClassVar[list[IndexModel]] = []


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

    async def before_time(
        self, user_id: str, time: datetime, assets: Mapping[str, Asset], *, newest: int
    ) -> BalancePoint:
        """The newest point at or before that time; `newest` is the user's newest event."""
        return await self.before_sequence(user_id, await self.newest_before(user_id, time, newest=newest), assets)

    async def newest_before(self, user_id: str, time: datetime, *, newest: int) -> int:
        """The sequence of the newest point at or before that time; 0 for none. `newest` is the user's newest event.

        By ids, of which every server finds each at once: 64 in a question, three questions in 8 million events. Asked
        for the newest by time, the local server reads all that are older.
        """
        earlier, later = 0, newest // EVENTS_PER_POINT + 1
        while later - earlier > 1:
            step = -(-(later - earlier) // POINTS_PER_LOOK)
            asked = [number * EVENTS_PER_POINT for number in range(earlier + step, later, step)]
            times = await self.times(user_id, asked)
            # One that is not written yet counts as later.
            found = [sequence for sequence in asked if sequence in times and times[sequence] <= time]
            if found:
                earlier = found[-1] // EVENTS_PER_POINT
            later = min(later, earlier + step)
        return earlier * EVENTS_PER_POINT

    async def times(self, user_id: str, sequences: Sequence[int]) -> dict[int, datetime]:
        """When those points were, by their sequence, of those that there are."""
        if not sequences:
            return {}
        wanted = {"_id": {"$in": [user_key(user_id, sequence) for sequence in sequences]}}
        found = await BalancePointDocument.get_pymongo_collection().find(wanted, {"sequence": 1, "time": 1}).to_list()
        return {row["sequence"]: row["time"] for row in found}


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
