from datetime import datetime
from typing import Any

from chassis.errors import Unavailable
from pymongo.errors import DuplicateKeyError

from auth.domain.email_address import EmailAddress
from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.storage.documents import StrangerDocument, UserDocument
from auth.use_cases.ports import Digests

RACES_MAX = 50  # failures at one address that end in the same instant; each round at least one of them is counted

_FIELDS = {"_id": 1, "failed_login_attempts": 1, "last_failed_login": 1, "locked_until": 1}


class MongoLoginThrottles:
    """In the account where there is one, else among the strangers, by digest: same fields, same rule."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    async def read(self, email: EmailAddress) -> LoginThrottle:
        _, row = await self._row(email)
        return _throttle(row)

    async def count_failure(self, email: EmailAddress, now: datetime) -> bool:
        for _ in range(RACES_MAX):
            is_account, row = await self._row(email)
            before = _throttle(row)
            if before.seconds_locked(now):
                return False
            if await self._replace(email, before, before.after_failure(now), is_account=is_account):
                return True
        raise Unavailable("Too many sign-ins fail at this address at once.")

    async def _row(self, email: EmailAddress) -> tuple[bool, dict[str, Any] | None]:
        account = await UserDocument.get_pymongo_collection().find_one({"email": email}, _FIELDS)
        if account is not None:
            return True, account
        key = {"_id": self._digests.of_email(email)}
        return False, await StrangerDocument.get_pymongo_collection().find_one(key)

    async def _replace(
        self, email: EmailAddress, before: LoginThrottle, after: LoginThrottle, *, is_account: bool
    ) -> bool:
        change = {"$set": _fields(after)}
        if is_account:
            accounts = UserDocument.get_pymongo_collection()
            return (await accounts.update_one({"email": email, **_fields(before)}, change)).matched_count == 1
        strangers = StrangerDocument.get_pymongo_collection()
        which = {"_id": self._digests.of_email(email), **_fields(before)}
        try:
            # Inserts the first failure; where another was counted meanwhile, the id exists with other fields.
            await strangers.update_one(which, change, upsert=True)
        except DuplicateKeyError:
            return False
        return True


def _fields(throttle: LoginThrottle) -> dict[str, Any]:
    return {
        "failed_login_attempts": throttle.failed_attempts,
        "last_failed_login": throttle.last_failure_at,
        "locked_until": throttle.locked_until,
    }


def _throttle(row: dict[str, Any] | None) -> LoginThrottle:
    if row is None:
        return OPEN
    return LoginThrottle(
        failed_attempts=row["failed_login_attempts"],
        last_failure_at=row["last_failed_login"],
        locked_until=row["locked_until"],
    )
