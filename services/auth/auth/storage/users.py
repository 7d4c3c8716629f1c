from datetime import datetime
from typing import Any
from uuid import UUID

from pymongo.errors import DuplicateKeyError

from auth.domain.email_address import EmailAddress
from auth.domain.login_throttle import LoginThrottle
from auth.domain.users import CodeCount, SignUpClaim, User
from auth.storage.documents import ClaimFields, CodeCountFields, UserDocument

_OPEN = {"failed_login_attempts": 0, "last_failed_login": None, "locked_until": None, "login_locks": 0}


class MongoUsers:
    """Accounts. A change of state is one conditional update, so that of two racers one sees that it lost."""

    async def by_email(self, email: EmailAddress) -> User | None:
        return _user(await UserDocument.find_one({"email": email}))

    async def by_id(self, user_id: UUID) -> User | None:
        return _user(await UserDocument.find_one({"id": user_id}))

    async def add(self, user: User) -> bool:
        try:
            await _document(user).insert()
        except DuplicateKeyError:
            return False
        return True

    async def replace_claim(self, before: User, after: User) -> bool:
        if before.claim is None or after.claim is None:
            raise ValueError("only an unverified account has a claim to replace")
        return await self._update(
            {"id": before.id, "email_verified": False, "sign_up.revision": before.claim.revision},
            {"$set": {
                "name": after.name, "password_hash": after.password_hash, "sign_up": _claim(after.claim).model_dump()
            }},
        )  # fmt: skip

    async def mark_verified(self, user_id: UUID, *, password_hash: str) -> bool:
        change = {"$set": {"email_verified": True, "sign_up": None, "password_hash": password_hash}}
        return await self._update({"id": user_id, "email_verified": False}, change)

    async def note_sign_in(self, user_id: UUID, now: datetime) -> None:
        await self._update({"id": user_id}, _signed_in(now))

    async def admit(self, user_id: UUID, now: datetime) -> bool:
        # Not locked, or no longer. `$or` would say it too, but then the embedded database looks at every account.
        return await self._update({"id": user_id, "locked_until": {"$not": {"$gt": now}}}, _signed_in(now))

    async def note_known_sign_in(self, user_id: UUID, now: datetime) -> None:
        await self._update({"id": user_id}, {"$set": {"last_login": now}})

    async def count_reset_code(self, before: User, count: CodeCount) -> bool:
        held = None if before.reset_codes is None else _count(before.reset_codes)
        return await self._update({"id": before.id, "reset_codes": held}, {"$set": {"reset_codes": _count(count)}})

    async def set_password(self, user_id: UUID, password_hash: str) -> None:
        change = {"$set": {"password_hash": password_hash, **_OPEN}, "$inc": {"password_resets": 1}}
        await self._update({"id": user_id}, change)

    async def replace_password(self, user_id: UUID, *, old_hash: str, new_hash: str) -> bool:
        return await self._update({"id": user_id, "password_hash": old_hash}, {"$set": {"password_hash": new_hash}})

    async def rename(self, user_id: UUID, name: str) -> None:
        await self._update({"id": user_id}, {"$set": {"name": name}})

    async def set_two_factor(self, user_id: UUID, *, enabled: bool) -> None:
        await self._update({"id": user_id}, {"$set": {"two_factor_enabled": enabled}})

    async def freeze(self, user_id: UUID, now: datetime) -> bool:
        return await self._update({"id": user_id, "frozen_at": None}, {"$set": {"frozen_at": now}})

    async def unfreeze(self, user_id: UUID) -> bool:
        return await self._update({"id": user_id, "frozen_at": {"$ne": None}}, {"$set": {"frozen_at": None}})

    async def add_role(self, user_id: UUID, role: str) -> bool:
        return await self._update({"id": user_id, "roles": {"$ne": role}}, {"$push": {"roles": role}})

    async def remove_role(self, user_id: UUID, role: str) -> bool:
        return await self._update({"id": user_id, "roles": role}, {"$pull": {"roles": role}})

    async def _update(self, which: dict[str, Any], change: dict[str, Any]) -> bool:
        outcome = await UserDocument.get_pymongo_collection().update_one(which, change)
        return outcome.matched_count == 1


def _signed_in(now: datetime) -> dict[str, Any]:
    return {"$set": {"last_login": now, **_OPEN}}


def _count(count: CodeCount) -> dict[str, Any]:
    return {"sent": count.sent, "since": count.since}


def _claim(claim: SignUpClaim) -> ClaimFields:
    return ClaimFields(
        origin=claim.origin,
        open_until=claim.open_until,
        codes_sent=claim.codes_sent,
        codes_since=claim.codes_since,
        revision=claim.revision,
        contested=claim.contested,
    )


def _document(user: User) -> UserDocument:
    return UserDocument(
        id=user.id,
        email=user.email,
        password_hash=user.password_hash,
        name=user.name,
        email_verified=user.email_verified,
        two_factor_enabled=user.two_factor_enabled,
        created_at=user.created_at,
        last_login=user.last_login,
        failed_login_attempts=user.throttle.failed_attempts,
        locked_until=user.throttle.locked_until,
        last_failed_login=user.throttle.last_failure_at,
        login_locks=user.throttle.locks,
        roles=list(user.roles),
        sign_up=_claim(user.claim) if user.claim else None,
        reset_codes=CodeCountFields(**_count(user.reset_codes)) if user.reset_codes else None,
        frozen_at=user.frozen_at,
        password_resets=user.password_resets,
    )


def _user(document: UserDocument | None) -> User | None:
    if document is None:
        return None
    return User(
        id=document.application_id,
        email=EmailAddress(document.email),
        name=document.name,
        password_hash=document.password_hash,
        created_at=document.created_at,
        email_verified=document.email_verified,
        two_factor_enabled=document.two_factor_enabled,
        last_login=document.last_login,
        throttle=LoginThrottle(
            failed_attempts=document.failed_login_attempts,
            last_failure_at=document.last_failed_login,
            locked_until=document.locked_until,
            locks=document.login_locks,
        ),
        roles=tuple(document.roles),
        claim=SignUpClaim(**document.sign_up.model_dump()) if document.sign_up else None,
        reset_codes=CodeCount(**document.reset_codes.model_dump()) if document.reset_codes else None,
        frozen_at=document.frozen_at,
        password_resets=document.password_resets,
    )
