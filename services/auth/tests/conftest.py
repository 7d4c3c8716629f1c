"""Two worlds for the same tests: one in memory, one on the real database, Redis and password hashing."""

import asyncio
import contextlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
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
from auth.domain.audit_chain import AuditStream
from auth.domain.email_address import email_address
from auth.domain.one_time_codes import CodePurpose
from auth.domain.users import User
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
from auth.use_cases.open_session import SignedIn
from chassis.identity import Caller, use_caller
from chassis.ids import RandomIds
from chassis.mongo import MongoConnection, init_documents
from chassis.outbox import COLLECTION, Outbox
from chassis.testing import FixedClock, serve
from cryptovault.notifications.v1 import notifications_pb2_grpc
from joserfc.jwk import OKPKey
from redis.asyncio import BlockingConnectionPool, Redis

# Test folders are no packages: what is put aside here is loaded by its path, once.
for _name in ("memory_stores", "memory_surroundings", "authenticator"):
    _spec = importlib.util.spec_from_file_location(_name, Path(__file__).parent / f"{_name}.py")
    if _name not in sys.modules and _spec is not None and _spec.loader is not None:
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)

from memory_stores import (  # noqa: E402 - above
    MemoryApiKeys,
    MemoryAttempts,
    MemoryRevoked,
    MemorySecondFactors,
    MemorySecondFactorThrottles,
    MemorySessions,
    MemoryThrottles,
    MemoryUsers,
)
from memory_surroundings import (  # noqa: E402 - above
    DirectTransactions,
    ListErrands,
    MemoryAnnouncements,
    MemoryAuditTrail,
    MemoryCodeLimits,
    MemoryCodes,
    MemoryDeferredAudit,
    Notifications,
    PlainPasswords,
    RecordingCourier,
)

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


@dataclass
class World:
    """Use cases on one set of adapters, and what a test must see of the outside."""

    adapters: Adapters
    clock: FixedClock
    courier: RecordingCourier
    events: Callable[[], Awaitable[list[tuple[str, str]]]]
    settle: Callable[[], Awaitable[None]]
    drop_codes: Callable[[], Awaitable[None]]
    # As after ten minutes: those of a day stay.
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
        reset_limits=_returning(limits.forget_minutes),
        audited=_returning(
            lambda: [(str(one.entry.action), one.entry.actor, one.entry.resource) for one in audit_trail.sealed]
        ),
        is_blacklisted=_returning(lambda session_id: session_id in revoked.published & revoked.remembered),
    )


@pytest.fixture
async def notifications() -> AsyncIterator[Notifications]:
    servicer = Notifications()
    add = notifications_pb2_grpc.add_NotificationsServiceServicer_to_server
    entry = (add, servicer, "cryptovault.notifications.v1.NotificationsService")
    async with serve([entry], plays="notifications") as servicer.address:
        yield servicer


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

    async def drop(pattern: str, *, but: str = " ") -> None:
        for key in await redis.keys(pattern):
            if but.encode() not in key:
                await redis.delete(key)

    running = asyncio.create_task(errands.run())
    yield World(
        adapters=adapters,
        clock=clock,
        courier=courier,
        events=events,
        settle=errands.drained,
        drop_codes=lambda: drop("cryptovault:otp:*"),
        reset_limits=lambda: drop("cryptovault:otp-sends:*", but=CodePurpose.ALREADY_REGISTERED),
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
