from datetime import datetime
from uuid import UUID

from auth.domain.devices import KnownDevice
from auth.domain.login_throttle import LoginThrottle
from auth.storage import throttle_rows


class MongoSecondFactorThrottles:
    """Among the strangers, by account and device."""

    async def read(self, user_id: UUID, device: KnownDevice | None) -> LoginThrottle:
        return await throttle_rows.read(_key(user_id, device))

    async def count_try(self, user_id: UUID, now: datetime, device: KnownDevice | None) -> LoginThrottle | None:
        return await throttle_rows.count_failure(_key(user_id, device), now)

    async def forget(self, user_id: UUID, device: KnownDevice | None) -> None:
        await throttle_rows.forget(_key(user_id, device))


def _key(user_id: UUID, device: KnownDevice | None) -> str:
    return f"second-factor:{user_id}" if device is None else f"second-factor:{user_id}:{device.id}"
