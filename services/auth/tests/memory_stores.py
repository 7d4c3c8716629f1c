"""What auth stores, in memory: the same promises as the real adapters, which the same tests hold."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from auth.domain.api_keys import ApiKey
from auth.domain.devices import KnownDevice
from auth.domain.email_address import EmailAddress
from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.domain.second_factor import SecondFactor
from auth.domain.sessions import Session
from auth.domain.users import CodeCount, User
from auth.use_cases.ports import LoginAttempt


class MemoryUsers:
    def __init__(self) -> None:
        self.rows: dict[UUID, User] = {}

    async def by_email(self, email: EmailAddress) -> User | None:
        return next((user for user in self.rows.values() if user.email == email), None)

    async def by_id(self, user_id: UUID) -> User | None:
        return self.rows.get(user_id)

    async def add(self, user: User) -> bool:
        if await self.by_email(user.email):
            return False
        self.rows[user.id] = user
        return True

    async def replace_claim(self, before: User, after: User) -> bool:
        now = self.rows[before.id]
        if now.email_verified or now.claim is None or before.claim is None:
            return False
        if now.claim.revision != before.claim.revision:
            return False
        self.rows[before.id] = replace(now, name=after.name, password_hash=after.password_hash, claim=after.claim)
        return True

    async def mark_verified(self, user_id: UUID, *, password_hash: str) -> bool:
        user = self.rows[user_id]
        if user.email_verified:
            return False
        self.rows[user_id] = replace(user, email_verified=True, claim=None, password_hash=password_hash)
        return True

    async def note_sign_in(self, user_id: UUID, now: datetime) -> None:
        self.rows[user_id] = replace(self.rows[user_id], last_login=now, throttle=OPEN)

    async def admit(self, user_id: UUID, now: datetime) -> bool:
        if self.rows[user_id].throttle.seconds_locked(now):
            return False
        await self.note_sign_in(user_id, now)
        return True

    async def freeze(self, user_id: UUID, now: datetime) -> bool:
        if self.rows[user_id].frozen_at:
            return False
        self.rows[user_id] = replace(self.rows[user_id], frozen_at=now)
        return True

    async def unfreeze(self, user_id: UUID) -> bool:
        was_frozen = self.rows[user_id].frozen_at is not None
        self.rows[user_id] = replace(self.rows[user_id], frozen_at=None)
        return was_frozen

    async def rename(self, user_id: UUID, name: str) -> None:
        self.rows[user_id] = replace(self.rows[user_id], name=name)

    async def set_two_factor(self, user_id: UUID, *, enabled: bool) -> None:
        self.rows[user_id] = replace(self.rows[user_id], two_factor_enabled=enabled)

    async def add_role(self, user_id: UUID, role: str) -> bool:
        roles = self.rows[user_id].roles
        self.rows[user_id] = replace(self.rows[user_id], roles=(*roles, role) if role not in roles else roles)
        return role not in roles

    async def remove_role(self, user_id: UUID, role: str) -> bool:
        roles = self.rows[user_id].roles
        self.rows[user_id] = replace(self.rows[user_id], roles=tuple(held for held in roles if held != role))
        return role in roles

    async def note_known_sign_in(self, user_id: UUID, now: datetime) -> None:
        self.rows[user_id] = replace(self.rows[user_id], last_login=now)

    async def count_reset_code(self, before: User, count: CodeCount) -> bool:
        if self.rows[before.id].reset_codes != before.reset_codes:
            return False
        self.rows[before.id] = replace(self.rows[before.id], reset_codes=count)
        return True

    async def set_password(self, user_id: UUID, password_hash: str) -> None:
        user = self.rows[user_id]
        resets = user.password_resets + 1
        self.rows[user_id] = replace(user, password_hash=password_hash, throttle=OPEN, password_resets=resets)

    async def replace_password(self, user_id: UUID, *, old_hash: str, new_hash: str) -> bool:
        if self.rows[user_id].password_hash != old_hash:
            return False
        self.rows[user_id] = replace(self.rows[user_id], password_hash=new_hash)
        return True


class MemoryThrottles:
    def __init__(self, users: MemoryUsers) -> None:
        self._users = users
        self._strangers: dict[tuple[str, KnownDevice | None], LoginThrottle] = {}

    async def read(self, email: EmailAddress, device: KnownDevice | None = None) -> LoginThrottle:
        user = await self._users.by_email(email)
        is_account = user is not None and user.email_verified and device is None
        return user.throttle if user and is_account else self._strangers.get((email, device), OPEN)

    async def count_failure(
        self, email: EmailAddress, now: datetime, device: KnownDevice | None = None
    ) -> LoginThrottle | None:
        before = await self.read(email, device)
        if before.seconds_locked(now):
            return None
        after = before.after_failure(now)
        user = await self._users.by_email(email)
        if user and user.email_verified and device is None:
            self._users.rows[user.id] = replace(user, throttle=after)
        else:
            self._strangers[email, device] = after
        return after

    async def forget(self, email: EmailAddress, device: KnownDevice) -> None:
        self._strangers.pop((email, device), None)


class MemoryAttempts:
    def __init__(self) -> None:
        self.rows: list[LoginAttempt] = []

    async def record(self, attempt: LoginAttempt) -> None:
        self.rows.append(attempt)

    def note(self, attempt: LoginAttempt) -> None:
        self.rows.append(attempt)


class MemorySessions:
    def __init__(self) -> None:
        self.rows: dict[UUID, Session] = {}

    async def add(self, session: Session) -> None:
        self.rows[session.id] = session

    async def by_id(self, session_id: UUID) -> Session | None:
        return self.rows.get(session_id)

    async def rotate(
        self, session: Session, *, now: datetime, by_device: bool, address: str | None, expires_at: datetime
    ) -> bool:
        held = self.rows[session.id]
        if held.generation != session.generation or held.revoked_at:
            return False
        self.rows[session.id] = replace(
            held,
            generation=held.generation + 1,
            rotated_at=now,
            rotated_by_device=by_device,
            address=address,
            expires_at=expires_at,
        )
        return True

    async def revoke(self, session_id: UUID, now: datetime) -> bool:
        if self.rows[session_id].revoked_at:
            return False
        self.rows[session_id] = replace(self.rows[session_id], revoked_at=now)
        return True

    async def lives_at(self, user_id: UUID, *, address: str | None, device_name: str, now: datetime) -> bool:
        live = await self.live_of_user(user_id, now, len(self.rows))
        return any((session.address, session.device_name) == (address, device_name) for session in live)

    async def step_up(self, session_id: UUID, until: datetime) -> bool:
        if self.rows[session_id].revoked_at:
            return False
        self.rows[session_id] = replace(self.rows[session_id], stepped_up_until=until)
        return True

    async def live_of_user(
        self, user_id: UUID, now: datetime, limit: int, *, but: UUID | None = None
    ) -> Sequence[Session]:
        live = [s for s in self.rows.values() if s.user_id == user_id and not s.revoked_at and s.expires_at > now]
        return [session for session in live if session.id != but][:limit]


class MemorySecondFactors:
    def __init__(self) -> None:
        self.rows: dict[UUID, SecondFactor] = {}

    async def get(self, user_id: UUID) -> SecondFactor:
        return self.rows.get(user_id, SecondFactor(user_id=user_id))

    async def propose(self, user_id: UUID, secret: str) -> bool:
        factor = await self.get(user_id)
        if factor.is_enabled:
            return False
        self.rows[user_id] = replace(factor, proposed_secret=secret)
        return True

    async def enable(self, user_id: UUID, *, secret: str, step: int, recovery_digests: Sequence[str]) -> bool:
        factor = await self.get(user_id)
        if factor.is_enabled or factor.proposed_secret != secret:
            return False
        digests = tuple(recovery_digests)
        self.rows[user_id] = SecondFactor(user_id=user_id, secret=secret, last_step=step, recovery_digests=digests)
        return True

    async def disable(self, user_id: UUID) -> bool:
        return self.rows.pop(user_id, SecondFactor(user_id=user_id)).is_enabled

    async def spend_step(self, user_id: UUID, step: int) -> bool:
        factor = await self.get(user_id)
        if not factor.is_enabled or factor.last_step >= step:
            return False
        self.rows[user_id] = replace(factor, last_step=step)
        return True

    async def spend_recovery(self, user_id: UUID, digest: str) -> bool:
        factor = await self.get(user_id)
        if digest not in factor.recovery_digests:
            return False
        left = tuple(held for held in factor.recovery_digests if held != digest)
        self.rows[user_id] = replace(factor, recovery_digests=left)
        return True

    async def replace_recovery(self, user_id: UUID, recovery_digests: Sequence[str]) -> bool:
        factor = await self.get(user_id)
        self.rows[user_id] = replace(factor, recovery_digests=tuple(recovery_digests))
        return factor.is_enabled


class MemorySecondFactorThrottles:
    def __init__(self) -> None:
        self.rows: dict[tuple[UUID, KnownDevice | None], LoginThrottle] = {}

    async def read(self, user_id: UUID, device: KnownDevice | None) -> LoginThrottle:
        return self.rows.get((user_id, device), OPEN)

    async def count_try(self, user_id: UUID, now: datetime, device: KnownDevice | None) -> LoginThrottle | None:
        before = await self.read(user_id, device)
        if before.seconds_locked(now):
            return None
        self.rows[user_id, device] = before.after_failure(now)
        return self.rows[user_id, device]

    async def forget(self, user_id: UUID, device: KnownDevice | None) -> None:
        self.rows.pop((user_id, device), None)


class MemoryApiKeys:
    def __init__(self) -> None:
        self.rows: dict[UUID, ApiKey] = {}

    async def add(self, key: ApiKey) -> None:
        self.rows[key.id] = key

    async def by_id(self, key_id: UUID) -> ApiKey | None:
        return self.rows.get(key_id)

    async def of_user(self, user_id: UUID, limit: int) -> Sequence[ApiKey]:
        keys = [key for key in self.rows.values() if key.user_id == user_id]
        return sorted(keys, key=lambda key: key.created_at, reverse=True)[:limit]

    async def remove(self, key_id: UUID) -> bool:
        return self.rows.pop(key_id, None) is not None

    async def note_use(self, key_id: UUID, now: datetime) -> None:
        self.rows[key_id] = replace(self.rows[key_id], last_used_at=now)


class MemoryRevoked:
    def __init__(self) -> None:
        self.remembered: set[UUID] = set()
        self.published: set[UUID] = set()

    async def remember(self, revoked_id: UUID, *, user_id: UUID, now: datetime, until: datetime) -> None:
        self.remembered.add(revoked_id)

    async def publish(self, revoked_id: UUID, *, seconds: int) -> None:
        self.published.add(revoked_id)

    async def among(self, ids: Sequence[UUID]) -> Collection[UUID]:
        return self.remembered & set(ids)

    def doubt(self) -> None:
        self.published |= self.remembered
