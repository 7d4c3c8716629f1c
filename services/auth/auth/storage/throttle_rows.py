"""Throttles of strangers: of whoever tries a key that is no account's own. `strangers`, by key; gone two days later."""

from datetime import datetime
from typing import Any

from chassis.errors import Unavailable
from pymongo.errors import DuplicateKeyError

from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.storage.documents import StrangerDocument

RACES_MAX = 50  # failures of one key that end in the same instant; each round at least one of them is counted


async def read(key: str) -> LoginThrottle:
    return throttle_of(await StrangerDocument.get_pymongo_collection().find_one({"_id": key}))


async def count_failure(key: str, now: datetime) -> LoginThrottle | None:
    """What it is after the failure; None where it was locked already. Unavailable where too many fail at once."""
    for _ in range(RACES_MAX):
        before = await read(key)
        if before.seconds_locked(now):
            return None
        after = before.after_failure(now)
        if await replace(key, before, after):
            return after
    raise Unavailable("Too many attempts fail at once.")


async def replace(key: str, before: LoginThrottle, after: LoginThrottle) -> bool:
    """False where it is no longer as `before` says."""
    try:
        # Inserts the first failure; where another was counted meanwhile, the id exists with other fields.
        await StrangerDocument.get_pymongo_collection().update_one(
            {"_id": key, **as_stored(before)}, {"$set": fields_of(after)}, upsert=True
        )
    except DuplicateKeyError:
        return False
    return True


async def forget(key: str) -> None:
    await StrangerDocument.get_pymongo_collection().delete_one({"_id": key})


def fields_of(throttle: LoginThrottle) -> dict[str, Any]:
    return {
        "failed_login_attempts": throttle.failed_attempts,
        "last_failed_login": throttle.last_failure_at,
        "locked_until": throttle.locked_until,
        "login_locks": throttle.locks,
    }


def as_stored(throttle: LoginThrottle) -> dict[str, Any]:
    """What finds the row of it."""
    # An account from before locks were counted has no such field; `None` finds a field that is not there.
    return {**fields_of(throttle), "login_locks": throttle.locks or {"$in": [0, None]}}


def throttle_of(row: dict[str, Any] | None) -> LoginThrottle:
    if row is None:
        return OPEN
    return LoginThrottle(
        failed_attempts=row["failed_login_attempts"],
        last_failure_at=row["last_failed_login"],
        locked_until=row["locked_until"],
        locks=row.get("login_locks", 0),
    )
