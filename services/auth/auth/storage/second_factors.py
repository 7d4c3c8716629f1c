from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.errors import Unavailable
from pymongo.errors import DuplicateKeyError

from auth.domain.login_throttle import LoginThrottle
from auth.domain.second_factor import SecondFactor
from auth.storage.documents import SecondFactorDocument

RACES_MAX = 50  # wrong codes of one account that end in the same instant; each round at least one is counted

_OPEN = {"failed_attempts": 0, "last_failure_at": None, "locked_until": None, "locks": 0}


class MongoSecondFactors:
    """One row per account that has, or sets up, a second factor. Each change is one conditional update."""

    async def get(self, user_id: UUID) -> SecondFactor:
        document = await SecondFactorDocument.find_one({"_id": user_id})
        if document is None:
            return SecondFactor(user_id=user_id)
        return SecondFactor(
            user_id=document.id,
            secret=document.secret,
            proposed_secret=document.proposed_secret,
            last_step=document.last_step,
            recovery_digests=tuple(document.recovery_digests),
            throttle=LoginThrottle(
                failed_attempts=document.failed_attempts,
                last_failure_at=document.last_failure_at,
                locked_until=document.locked_until,
                locks=document.locks,
            ),
        )

    async def propose(self, user_id: UUID, secret: str) -> bool:
        fresh: dict[str, Any] = {"last_step": 0, "recovery_digests": [], **_OPEN}
        try:
            # Matches nothing where a factor is on, and then collides with the row that is there.
            await SecondFactorDocument.get_pymongo_collection().update_one(
                {"_id": user_id, "secret": None},
                {"$set": {"proposed_secret": secret}, "$setOnInsert": fresh},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        return True

    async def enable(self, user_id: UUID, *, secret: str, step: int, recovery_digests: Sequence[str]) -> bool:
        return await self._update(
            {"_id": user_id, "secret": None, "proposed_secret": secret},
            {
                "secret": secret,
                "proposed_secret": None,
                "last_step": step,
                "recovery_digests": list(recovery_digests),
                **_OPEN,
            },
        )

    async def disable(self, user_id: UUID) -> bool:
        rows = SecondFactorDocument.get_pymongo_collection()
        return (await rows.delete_one({"_id": user_id, "secret": {"$ne": None}})).deleted_count == 1

    async def spend_step(self, user_id: UUID, step: int, now: datetime) -> bool:
        return await self._update(
            {"_id": user_id, "secret": {"$ne": None}, "last_step": {"$lt": step}, **_unlocked(now)},
            {"last_step": step, **_OPEN},
        )

    async def spend_recovery(self, user_id: UUID, digest: str, now: datetime) -> bool:
        outcome = await SecondFactorDocument.get_pymongo_collection().update_one(
            {"_id": user_id, "secret": {"$ne": None}, "recovery_digests": digest, **_unlocked(now)},
            {"$pull": {"recovery_digests": digest}, "$set": _OPEN},
        )
        return outcome.matched_count == 1

    async def replace_recovery(self, user_id: UUID, recovery_digests: Sequence[str]) -> bool:
        which = {"_id": user_id, "secret": {"$ne": None}}
        return await self._update(which, {"recovery_digests": list(recovery_digests)})

    async def count_failure(self, user_id: UUID, now: datetime) -> LoginThrottle | None:
        for _ in range(RACES_MAX):
            before = (await self.get(user_id)).throttle
            if before.seconds_locked(now):
                return None
            after = before.after_failure(now)
            if await self._update({"_id": user_id, **_fields(before)}, _fields(after)):
                return after
        raise Unavailable("Too many codes are tried at once.")

    async def _update(self, which: dict[str, Any], change: dict[str, Any]) -> bool:
        rows = SecondFactorDocument.get_pymongo_collection()
        return (await rows.update_one(which, {"$set": change})).matched_count == 1


def _unlocked(now: datetime) -> dict[str, Any]:
    return {"$or": [{"locked_until": None}, {"locked_until": {"$lte": now}}]}


def _fields(throttle: LoginThrottle) -> dict[str, Any]:
    return {
        "failed_attempts": throttle.failed_attempts,
        "last_failure_at": throttle.last_failure_at,
        "locked_until": throttle.locked_until,
        "locks": throttle.locks,
    }
