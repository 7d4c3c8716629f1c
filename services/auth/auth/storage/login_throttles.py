import asyncio
from datetime import datetime
from typing import Any

from chassis.errors import Unavailable

from auth.domain.devices import KnownDevice
from auth.domain.email_address import EmailAddress
from auth.domain.login_throttle import LoginThrottle
from auth.storage import throttle_rows
from auth.storage.documents import StrangerDocument, UserDocument
from auth.use_cases.crypto_ports import Digests

# Counting at an account and counting among the strangers are writes of different cost, a millisecond apart: behind this
# it does not show. Only failures wait, and nothing works meanwhile.
_COUNTING_SECONDS_MIN = 0.05

_FIELDS = {"_id": 1, "failed_login_attempts": 1, "last_failed_login": 1, "locked_until": 1, "login_locks": 1}


class MongoLoginThrottles:
    """In the account where there is one, else among the strangers, by digest: same fields, same rule. A known device's
    is among the strangers too, so that whoever guesses at the address does not touch it. So is that of an account whose
    address is not proven: a sign-up must not be seen to begin a count anew.
    """

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    async def read(self, email: EmailAddress, device: KnownDevice | None = None) -> LoginThrottle:
        _, row = await self._row(email, device)
        return throttle_rows.throttle_of(row)

    async def count_failure(
        self, email: EmailAddress, now: datetime, device: KnownDevice | None = None
    ) -> LoginThrottle | None:
        counted, _ = await asyncio.gather(self._count(email, now, device), asyncio.sleep(_COUNTING_SECONDS_MIN))
        return counted

    async def _count(self, email: EmailAddress, now: datetime, device: KnownDevice | None) -> LoginThrottle | None:
        for _ in range(throttle_rows.RACES_MAX):
            is_account, row = await self._row(email, device)
            before = throttle_rows.throttle_of(row)
            if before.seconds_locked(now):
                return None
            after = before.after_failure(now)
            if await self._replace(email, device, before, after, is_account=is_account):
                return after
        raise Unavailable("Too many sign-ins fail at this address at once.")

    async def forget(self, email: EmailAddress, device: KnownDevice) -> None:
        await throttle_rows.forget(self._stranger(email, device))

    async def _row(self, email: EmailAddress, device: KnownDevice | None) -> tuple[bool, dict[str, Any] | None]:
        strangers = StrangerDocument.get_pymongo_collection().find_one({"_id": self._stranger(email, device)})
        if device is not None:
            return False, await strangers
        # Both, whoever it is: one look more for unknown addresses is what tells them from known ones by time.
        accounts = UserDocument.get_pymongo_collection().find_one({"email": email, "email_verified": True}, _FIELDS)
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
        if not is_account:
            return await throttle_rows.replace(self._stranger(email, device), before, after)
        which = {"email": email, **throttle_rows.as_stored(before)}
        change = {"$set": throttle_rows.fields_of(after)}
        return (await UserDocument.get_pymongo_collection().update_one(which, change)).matched_count == 1
