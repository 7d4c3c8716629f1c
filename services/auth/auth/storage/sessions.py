from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pymongo.errors import ConnectionFailure

from auth.domain.sessions import SESSION_LIFETIME, Session
from auth.storage.documents import SessionDocument


class MongoSessions:
    async def add(self, session: Session) -> None:
        await SessionDocument(
            id=session.id,
            user_id=session.user_id,
            seed=session.seed,
            generation=session.generation,
            created_at=session.created_at,
            rotated_at=session.rotated_at,
            rotated_by_device=session.rotated_by_device,
            expires_at=session.expires_at,
            device_id=session.device_id,
            device_name=session.device_name,
            address=session.address,
            revoked_at=session.revoked_at,
            kept_until=session.created_at + SESSION_LIFETIME,
        ).insert()

    async def by_id(self, session_id: UUID) -> Session | None:
        document = await SessionDocument.find_one({"_id": session_id})
        return _session(document) if document else None

    async def rotate(
        self, session: Session, *, now: datetime, by_device: bool, address: str | None, expires_at: datetime
    ) -> bool:
        rows = SessionDocument.get_pymongo_collection()
        rotated = {
            "generation": session.generation + 1, "rotated_at": now, "rotated_by_device": by_device,
            "address": address, "expires_at": expires_at,
        }  # fmt: skip
        # One conditional update decides the race; `find_one_and_update` would cost ten times as much.
        which = {"_id": session.id, "generation": session.generation, "revoked_at": None}
        try:
            return (await rows.update_one(which, {"$set": rotated})).matched_count == 1
        except ConnectionFailure:
            # Perhaps only the answer is lost: whoever comes again without their device would be taken for a thief.
            return await rows.find_one({"_id": session.id, **rotated}, {"_id": 1}) is not None

    async def revoke(self, session_id: UUID, now: datetime) -> bool:
        outcome = await SessionDocument.get_pymongo_collection().update_one(
            {"_id": session_id, "revoked_at": None}, {"$set": {"revoked_at": now}}
        )
        return outcome.matched_count == 1

    async def lives_at(self, user_id: UUID, *, address: str | None, device_name: str, now: datetime) -> bool:
        which = {"user_id": user_id, "revoked_at": None, "expires_at": {"$gt": now}}
        here = {"address": address, "device_name": device_name}
        return await SessionDocument.get_pymongo_collection().find_one({**which, **here}, {"_id": 1}) is not None

    async def step_up(self, session_id: UUID, until: datetime) -> bool:
        outcome = await SessionDocument.get_pymongo_collection().update_one(
            {"_id": session_id, "revoked_at": None}, {"$set": {"stepped_up_until": until}}
        )
        return outcome.matched_count == 1

    async def live_of_user(
        self, user_id: UUID, now: datetime, limit: int, *, but: UUID | None = None
    ) -> Sequence[Session]:
        which = {"user_id": user_id, "revoked_at": None, "expires_at": {"$gt": now}, "_id": {"$ne": but}}
        return [_session(document) for document in await SessionDocument.find(which).limit(limit).to_list()]


def _session(document: SessionDocument) -> Session:
    return Session(
        id=document.id,
        user_id=document.user_id,
        seed=bytes(document.seed),
        generation=document.generation,
        created_at=document.created_at,
        rotated_at=document.rotated_at,
        rotated_by_device=document.rotated_by_device,
        expires_at=document.expires_at,
        device_id=document.device_id or document.id,
        device_name=document.device_name,
        address=document.address,
        revoked_at=document.revoked_at,
        stepped_up_until=document.stepped_up_until,
    )
