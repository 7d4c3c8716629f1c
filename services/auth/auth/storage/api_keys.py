from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from auth.domain.api_keys import ApiKey
from auth.storage.documents import ApiKeyDocument


class MongoApiKeys:
    async def add(self, key: ApiKey) -> None:
        await ApiKeyDocument(
            id=key.id,
            user_id=key.user_id,
            name=key.name,
            scopes=list(key.scopes),
            networks=list(key.networks),
            secret=key.secret,
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
        ).insert()

    async def by_id(self, key_id: UUID) -> ApiKey | None:
        document = await ApiKeyDocument.find_one({"_id": key_id})
        return _key(document) if document else None

    async def of_user(self, user_id: UUID, limit: int) -> Sequence[ApiKey]:
        documents = await ApiKeyDocument.find({"user_id": user_id}).sort("-created_at").limit(limit).to_list()
        return [_key(document) for document in documents]

    async def remove(self, key_id: UUID) -> bool:
        outcome = await ApiKeyDocument.get_pymongo_collection().delete_one({"_id": key_id})
        return outcome.deleted_count == 1

    async def note_use(self, key_id: UUID, now: datetime) -> None:
        await ApiKeyDocument.get_pymongo_collection().update_one({"_id": key_id}, {"$set": {"last_used_at": now}})


def _key(document: ApiKeyDocument) -> ApiKey:
    return ApiKey(
        id=document.id,
        user_id=document.user_id,
        name=document.name,
        scopes=tuple(document.scopes),
        networks=tuple(document.networks),
        secret=document.secret,
        created_at=document.created_at,
        expires_at=document.expires_at,
        last_used_at=document.last_used_at,
    )
