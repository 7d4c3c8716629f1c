"""Two worlds for the same tests: one in memory, one on the real database, Redis and password hashing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import pytest
from auth.api.servicer import UseCases
from auth.bootstrap import Adapters, make_use_cases
from auth.crypto.access_tokens import SignedAccessTokens
from auth.crypto.device_tokens import SignedDeviceTokens
from auth.crypto.digests import KeyedDigests, SystemRandomness
from auth.crypto.password_pool import PasswordPool
from auth.crypto.refresh_tokens import SeededRefreshTokens
from auth.crypto.seal import RootSeal
from auth.crypto.tickets import challenge_tickets, freeze_tickets
from auth.crypto.totp import AppCodes
from auth.domain.api_keys import ApiKey
from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import AuditStream, SealedEntry, StreamHead, seal
from auth.domain.devices import KnownDevice
from auth.domain.email_address import EmailAddress, email_address
from auth.domain.login_throttle import OPEN, LoginThrottle
from auth.domain.one_time_codes import SENDS_MAX, TRIES_MAX, CodeCheck, CodePurpose, CodeVerdict
from auth.domain.second_factor import SecondFactor
from auth.domain.sessions import Session
from auth.domain.users import CodeCount, User
from auth.errands import BackgroundErrands
from auth.storage.announcements import OutboxAnnouncements
from auth.storage.api_keys import MongoApiKeys
from auth.storage.audit_queries import MongoAuditQueries
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.codes import RedisCodeLimits, RedisCodes
from auth.storage.deferred_audit import MongoDeferredAudit
from auth.storage.documents import DOCUMENTS
from auth.storage.in_turn import InTurn
from auth.storage.login_attempts import MongoLoginAttempts
from auth.storage.login_throttles import MongoLoginThrottles
from auth.storage.revoked_sessions import MirroredRevokedSessions
from auth.storage.second_factor_throttles import MongoSecondFactorThrottles
from auth.storage.second_factors import MongoSecondFactors
from auth.storage.sessions import MongoSessions
from auth.storage.users import MongoUsers
from auth.use_cases.audit_ports import AuditFilter, AuditPage
from auth.use_cases.open_session import SignedIn
from auth.use_cases.ports import CodeMessage, LoginAttempt, PasswordCheck
from chassis.identity import Caller, use_caller
from chassis.ids import RandomIds
from chassis.mongo import MongoConnection, init_documents
from chassis.outbox import COLLECTION, Outbox
from chassis.testing import FixedClock, serve
from cryptovault.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from joserfc.jwk import OKPKey
from redis.asyncio import BlockingConnectionPool, Redis

T = TypeVar("T")
ROOT = b"a root secret that only tests know"
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


def caller(*, address: str | None = "203.0.113.7", session: SignedIn | None = None, service: str = "gateway") -> Caller:
    return Caller(
        service=service,
        user_id=str(session.user.id) if session else None,
        session_id=str(session.session.id) if session else None,
        request_id="request-1",
        address=address,
    )


class DirectTransactions:
    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        return await work()


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

    async def mark_verified(self, user_id: UUID) -> bool:
        if self.rows[user_id].email_verified:
            return False
        self.rows[user_id] = replace(self.rows[user_id], email_verified=True, claim=None)
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
        return user.throttle if user and device is None else self._strangers.get((email, device), OPEN)

    async def count_failure(
        self, email: EmailAddress, now: datetime, device: KnownDevice | None = None
    ) -> LoginThrottle | None:
        before = await self.read(email, device)
        if before.seconds_locked(now):
            return None
        after = before.after_failure(now)
        user = await self._users.by_email(email)
        if user and device is None:
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

    def doubt(self) -> None:
        self.published |= self.remembered


class MemoryAnnouncements:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def user_verified(self, user_id: UUID, now: datetime) -> None:
        self.told.append(("UserVerified", str(user_id)))

    async def session_revoked(self, session: Session, now: datetime) -> None:
        self.told.append(("SessionRevoked", str(session.user_id)))


class MemoryDeferredAudit:
    def __init__(self) -> None:
        self.rows: dict[UUID, AuditEntry] = {}

    async def add(self, entry: AuditEntry) -> None:
        self.rows[entry.id] = entry

    async def oldest(self, limit: int) -> Sequence[AuditEntry]:
        return list(self.rows.values())[:limit]

    async def remove(self, ids: Sequence[UUID]) -> None:
        for entry_id in ids:
            del self.rows[entry_id]


class MemoryAuditTrail:
    """The trail and its queries: one list of what was sealed."""

    def __init__(self) -> None:
        self.sealed: list[SealedEntry] = []

    async def open(self, stream: str) -> None:
        """A stream that is empty needs nothing here."""

    async def append(self, stream: str, entries: Sequence[AuditEntry]) -> None:
        head = next((head for head in await self.heads() if head.stream == stream), StreamHead(stream))
        self.sealed += seal(head, entries)

    async def heads(self) -> Sequence[StreamHead]:
        return list({one.stream: one.head for one in self.sealed}.values())

    async def page(self, wanted: AuditFilter, *, limit: int, cursor: str) -> AuditPage:
        found = [one for one in reversed(self.sealed) if wanted.user_id in (None, one.entry.user_id)]
        return AuditPage(found[:limit], "")


class MemoryCodes:
    def __init__(self) -> None:
        self.live: dict[tuple[CodePurpose, str], tuple[str, int]] = {}

    async def put(self, purpose: CodePurpose, email: EmailAddress, digest: str) -> None:
        self.live[purpose, email] = (digest, 0)

    async def check(self, purpose: CodePurpose, email: EmailAddress, digest: str) -> CodeCheck:
        key = (purpose, email)
        if key not in self.live:
            return CodeCheck(CodeVerdict.MISSING)
        expected, tries = self.live[key]
        if tries >= TRIES_MAX:
            return CodeCheck(CodeVerdict.EXHAUSTED)
        if digest == expected:
            del self.live[key]
            return CodeCheck(CodeVerdict.ACCEPTED)
        self.live[key] = (expected, tries + 1)
        return CodeCheck(CodeVerdict.WRONG, TRIES_MAX - tries - 1)


class MemoryCodeLimits:
    def __init__(self) -> None:
        self.sent: dict[str, int] = {}

    async def seconds_to_wait(self, email: EmailAddress) -> int:
        if self.sent.get(email, 0) >= SENDS_MAX:
            return 600
        self.sent[email] = self.sent.get(email, 0) + 1
        return 0


class PlainPasswords:
    """The hash is the password in brackets: nothing to wait for."""

    async def hash(self, password: str) -> str:
        return f"<{password}>"

    def make_sure_of_room(self) -> None:
        pass

    async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
        return PasswordCheck(right=password_hash == f"<{password}>")


@dataclass
class RecordingCourier:
    mails: list[CodeMessage] = field(default_factory=list)

    async def send(self, message: CodeMessage) -> None:
        self.mails.append(message)


@dataclass
class World:
    """Use cases on one set of adapters, and what a test must see of the outside."""

    adapters: Adapters
    clock: FixedClock
    courier: RecordingCourier
    events: Callable[[], Awaitable[list[tuple[str, str]]]]
    settle: Callable[[], Awaitable[None]]
    drop_codes: Callable[[], Awaitable[None]]
    reset_limits: Callable[[], Awaitable[None]]
    is_blacklisted: Callable[[UUID], Awaitable[bool]]
    # What the trail says was done, oldest first, as (action, actor, resource).
    audited: Callable[[], Awaitable[list[tuple[str, str, str | None]]]]

    @property
    def do(self) -> UseCases:
        return make_use_cases(self.adapters)

    async def sign_up(self, email: str = EMAIL, password: str = PASSWORD, *, address: str = "203.0.113.7") -> None:
        with use_caller(caller(address=address)):
            await self.do.sign_up(email=email, password=password, name="Ada")
        await self.settle()

    async def resend(self, email: str = EMAIL) -> None:
        await self.do.resend_code(email=email)
        await self.settle()

    def last_code(self, email: str = EMAIL) -> str:
        return next(m.code for m in reversed(self.courier.mails) if m.email == email_address(email) and m.code)

    async def member(self, email: str = EMAIL, password: str = PASSWORD) -> SignedIn:
        await self.sign_up(email, password)
        with use_caller(caller()):
            return await self.do.verify_email(email=email, code=self.last_code(email))

    def notices(self, email: str = EMAIL) -> list[str]:
        """What the owner of the address was told of, oldest first."""
        return [mail.facts["event"] for mail in self.courier.mails if mail.email == email and mail.facts]

    async def user(self, email: str = EMAIL) -> User:
        user = await self.adapters.users.by_email(email_address(email))
        assert user is not None
        return user


@pytest.fixture(scope="session")
def signing_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519")


@pytest.fixture
def clock() -> FixedClock:
    """At the present second: the real servers drop what has expired by their own clocks."""
    return FixedClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def memory_world(clock: FixedClock, signing_key: OKPKey) -> World:
    users, codes, limits, revoked = MemoryUsers(), MemoryCodes(), MemoryCodeLimits(), MemoryRevoked()
    audit_trail = MemoryAuditTrail()
    announcements, courier, waiting = MemoryAnnouncements(), RecordingCourier(), ListErrands()
    adapters = Adapters(
        **_common(clock, signing_key),
        transactions=DirectTransactions(),
        in_turn=DirectTransactions(),
        passwords=PlainPasswords(),
        users=users,
        throttles=MemoryThrottles(users),
        attempts=MemoryAttempts(),
        sessions=MemorySessions(),
        second_factors=MemorySecondFactors(),
        second_factor_throttles=MemorySecondFactorThrottles(),
        api_keys=MemoryApiKeys(),
        revoked=revoked,
        announcements=announcements,
        audit_trail=audit_trail,
        deferred_audit=MemoryDeferredAudit(),
        audit_queries=audit_trail,
        codes=codes,
        code_limits=limits,
        courier=courier,
        errands=waiting,
    )
    return World(
        adapters=adapters,
        clock=clock,
        courier=courier,
        events=_returning(lambda: list(announcements.told)),
        settle=waiting.settle,
        drop_codes=_returning(codes.live.clear),
        reset_limits=_returning(limits.sent.clear),
        audited=_returning(
            lambda: [(str(one.entry.action), one.entry.actor, one.entry.resource) for one in audit_trail.sealed]
        ),
        is_blacklisted=_returning(lambda session_id: session_id in revoked.published & revoked.remembered),
    )


class Notifications(notifications_pb2_grpc.NotificationsServiceServicer):
    """Takes every mail, over real gRPC."""

    def __init__(self) -> None:
        self.requests: list[notifications_pb2.SendCodeRequest] = []
        self.address = ""

    async def SendCode(  # noqa: N802 - the contract's name
        self, request: notifications_pb2.SendCodeRequest, context: Any
    ) -> notifications_pb2.SendCodeResponse:
        self.requests.append(request)
        return notifications_pb2.SendCodeResponse()


@pytest.fixture
async def notifications() -> AsyncIterator[Notifications]:
    servicer = Notifications()
    add = notifications_pb2_grpc.add_NotificationsServiceServicer_to_server
    entry = (add, servicer, "cryptovault.notifications.v1.NotificationsService")
    async with serve([entry], plays="notifications") as servicer.address:
        yield servicer


class ListErrands:
    def __init__(self) -> None:
        self._waiting: list[Callable[[], Awaitable[None]]] = []

    def hand_over(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._waiting.append(work)

    async def settle(self) -> None:
        while self._waiting:
            await self._waiting.pop(0)()


@pytest.fixture
async def pooled_redis(redis_url: str) -> AsyncIterator[Redis]:
    """Waits for a connection instead of failing above the pool's size, as the service's own does."""
    async with Redis.from_pool(BlockingConnectionPool.from_url(redis_url, max_connections=20)) as client:
        yield client


@pytest.fixture
async def real_world(
    clock: FixedClock, signing_key: OKPKey, mongo: MongoConnection, pooled_redis: Redis
) -> AsyncIterator[World]:
    redis = pooled_redis
    await init_documents(mongo.database, DOCUMENTS)
    audit_trail = MongoAuditTrail()
    await audit_trail.open(AuditStream.AUTH)
    common = _common(clock, signing_key)
    courier, errands = RecordingCourier(), BackgroundErrands()
    passwords = PasswordPool(threads=2, waiting_max=300, wait_seconds_max=60, memory_kibibytes=1024, passes=1)
    adapters = Adapters(
        **common,
        transactions=mongo.transactions,
        in_turn=InTurn(mongo.transactions),
        passwords=passwords,
        users=MongoUsers(),
        throttles=MongoLoginThrottles(common["digests"]),
        attempts=MongoLoginAttempts(),
        sessions=MongoSessions(),
        second_factors=MongoSecondFactors(),
        second_factor_throttles=MongoSecondFactorThrottles(),
        api_keys=MongoApiKeys(),
        revoked=MirroredRevokedSessions(redis, clock),
        announcements=OutboxAnnouncements(Outbox(mongo.database)),
        audit_trail=audit_trail,
        deferred_audit=MongoDeferredAudit(),
        audit_queries=MongoAuditQueries(),
        codes=RedisCodes(redis),
        code_limits=RedisCodeLimits(redis),
        courier=courier,
        errands=errands,
    )

    async def events() -> list[tuple[str, str]]:
        rows = await mongo.database[COLLECTION].find({}).sort("_id", 1).to_list(None)
        return [(row["type"].rpartition(".")[2], row["subject"]) for row in rows]

    async def audited() -> list[tuple[str, str, str | None]]:
        rows = await mongo.database["audit_logs"].find({}).sort("_id", 1).to_list(None)
        return [(row["action"], row["actor"], row["resource"]) for row in rows]

    async def is_blacklisted(session_id: UUID) -> bool:
        durable = await mongo.database["blacklisted_tokens"].find_one({"_id": session_id})
        return durable is not None and bool(await redis.exists(f"cryptovault:blacklist:{session_id}"))

    async def drop(pattern: str) -> None:
        for key in await redis.keys(pattern):
            await redis.delete(key)

    running = asyncio.create_task(errands.run())
    yield World(
        adapters=adapters,
        clock=clock,
        courier=courier,
        events=events,
        settle=errands.drained,
        drop_codes=lambda: drop("cryptovault:otp:*"),
        reset_limits=lambda: drop("cryptovault:otp-sends:*"),
        is_blacklisted=is_blacklisted,
        audited=audited,
    )
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await passwords.close()


@pytest.fixture(params=["memory", "real"])
def world(request: pytest.FixtureRequest) -> World:
    """Every test that takes it holds for the stand-ins and for the real adapters alike."""
    fixture: World = request.getfixturevalue(f"{request.param}_world")
    return fixture


def _common(clock: FixedClock, signing_key: OKPKey) -> dict[str, Any]:
    return {
        "clock": clock,
        "ids": RandomIds(),
        "digests": KeyedDigests(ROOT),
        "randomness": SystemRandomness(),
        "access_tokens": SignedAccessTokens(key=signing_key, issuer="https://issuer", audience="cryptovault"),
        "refresh_tokens": SeededRefreshTokens(ROOT),
        "device_tokens": SignedDeviceTokens(ROOT),
        "challenges": challenge_tickets(ROOT),
        "freeze_tickets": freeze_tickets(ROOT),
        "freeze_page": "https://issuer/freeze",
        "app_codes": AppCodes(),
        "seal": RootSeal(ROOT),
    }


def _returning(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any) -> Any:
        return function(*arguments)

    return call
