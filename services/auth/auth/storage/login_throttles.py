import asyncio
from datetime import datetime
from typing import Any

from chassis.errors import Unavailable
from pymongo.errors import DuplicateKeyError

from auth.domain.devices import KnownDevice
from auth.domain.email_address import EmailAddress
from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.storage.documents import StrangerDocument, UserDocument
from auth.use_cases.ports import Digests

RACES_MAX = 50  # failures at one address that end in the same instant; each round at least one of them is counted

# Counting at an account and counting among the strangers are writes of different cost, a millisecond apart: behind this
# it does not show. Only failures wait, and nothing works meanwhile.
_COUNTING_SECONDS_MIN = 0.05

_FIELDS = {"_id": 1, "failed_login_attempts": 1, "last_failed_login": 1, "locked_until": 1, "login_locks": 1}


class MongoLoginThrottles:
    """In the account where there is one, else among the strangers, by digest: same fields, same rule. A known device's
    is among the strangers too, so that whoever guesses at the address does not touch it.
    """

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    async def read(self, email: EmailAddress, device: KnownDevice | None = None) -> LoginThrottle:
        _, row = await self._row(email, device)
        return _throttle(row)

    async def count_failure(
        self, email: EmailAddress, now: datetime, device: KnownDevice | None = None
    ) -> LoginThrottle | None:
        counted, _ = await asyncio.gather(self._count(email, now, device), asyncio.sleep(_COUNTING_SECONDS_MIN))
        return counted

    async def _count(self, email: EmailAddress, now: datetime, device: KnownDevice | None) -> LoginThrottle | None:
        for _ in range(RACES_MAX):
            is_account, row = await self._row(email, device)
            before = _throttle(row)
            if before.seconds_locked(now):
                return None
            after = before.after_failure(now)
            if await self._replace(email, device, before, after, is_account=is_account):
                return after
        raise Unavailable("Too many sign-ins fail at this address at once.")

    async def forget(self, email: EmailAddress, device: KnownDevice) -> None:
        await StrangerDocument.get_pymongo_collection().delete_one({"_id": self._stranger(email, device)})

    async def _row(self, email: EmailAddress, device: KnownDevice | None) -> tuple[bool, dict[str, Any] | None]:
        strangers = StrangerDocument.get_pymongo_collection().find_one({"_id": self._stranger(email, device)})
        if device is not None:
            return False, await strangers
        # Both, whoever it is: one look more for unknown addresses is what tells them from known ones by time.
        accounts = UserDocument.get_pymongo_collection().find_one({"email": email}, _FIELDS)
        account, stranger = await asyncio.gather(accounts, strangers)
        return (True, account) if account is not None else (False, stranger)

    def _stranger(self, email: EmailAddress, device: KnownDevice | None) -> str:
        digest = self._digests.of_email(email)
        return digest if device is None else f"{digest}:{device.id}"

    async def _replace(
        self,
        email: EmailAddress,
        device: KnownDevice | None,
        before: LoginThrottle,
        after: LoginThrottle,
        *,
        is_account: bool,
    ) -> bool:
        change = {"$set": _fields(after)}
        if is_account:
            accounts = UserDocument.get_pymongo_collection()
            return (await accounts.update_one({"email": email, **_as_stored(before)}, change)).matched_count == 1
        strangers = StrangerDocument.get_pymongo_collection()
        which = {"_id": self._stranger(email, device), **_as_stored(before)}
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
        "login_locks": throttle.locks,
    }


def _as_stored(throttle: LoginThrottle) -> dict[str, Any]:
    # An account from before locks were counted has no such field; `None` finds a field that is not there.
    return {**_fields(throttle), "login_locks": throttle.locks or {"$in": [0, None]}}


def _throttle(row: dict[str, Any] | None) -> LoginThrottle:
    if row is None:
        return OPEN
    return LoginThrottle(
        failed_attempts=row["failed_login_attempts"],
        last_failure_at=row["last_failed_login"],
        locked_until=row["locked_until"],
        locks=row.get("login_locks", 0),
    )
