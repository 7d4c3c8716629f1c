from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pymongo.errors import DuplicateKeyError

from auth.domain.second_factor import SecondFactor
from auth.storage.documents import SecondFactorDocument


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
        )

    async def propose(self, user_id: UUID, secret: str) -> bool:
        try:
            # Matches nothing where a factor is on, and then collides with the row that is there.
            await SecondFactorDocument.get_pymongo_collection().update_one(
                {"_id": user_id, "secret": None},
                {"$set": {"proposed_secret": secret}, "$setOnInsert": {"last_step": 0, "recovery_digests": []}},
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
            },
        )

    async def disable(self, user_id: UUID) -> bool:
        rows = SecondFactorDocument.get_pymongo_collection()
        return (await rows.delete_one({"_id": user_id, "secret": {"$ne": None}})).deleted_count == 1

    async def spend_step(self, user_id: UUID, step: int) -> bool:
        which = {"_id": user_id, "secret": {"$ne": None}, "last_step": {"$lt": step}}
        return await self._update(which, {"last_step": step})

    async def spend_recovery(self, user_id: UUID, digest: str) -> bool:
        outcome = await SecondFactorDocument.get_pymongo_collection().update_one(
            {"_id": user_id, "secret": {"$ne": None}, "recovery_digests": digest},
            {"$pull": {"recovery_digests": digest}},
        )
        return outcome.matched_count == 1

    async def replace_recovery(self, user_id: UUID, recovery_digests: Sequence[str]) -> bool:
        which = {"_id": user_id, "secret": {"$ne": None}}
        return await self._update(which, {"recovery_digests": list(recovery_digests)})

    async def _update(self, which: dict[str, Any], change: dict[str, Any]) -> bool:
        rows = SecondFactorDocument.get_pymongo_collection()
        return (await rows.update_one(which, {"$set": change})).matched_count == 1
