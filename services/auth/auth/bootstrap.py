"""Puts auth together. The one place that knows which adapter serves which port."""

from dataclasses import dataclass

import grpc.aio
from chassis.clock import Clock
from chassis.grpc_client import open_channel
from chassis.ids import Ids
from chassis.mongo import MongoConnection, init_documents
from chassis.outbox import Outbox, OutboxRelay
from chassis.service import Runtime
from cryptovault.auth.v1 import auth_pb2_grpc
from redis.asyncio import Redis

from auth.api.servicer import SERVICE_NAME, AuthServicer, UseCases
from auth.clients.notifications import NotificationsCourier
from auth.crypto.access_tokens import HS256, SignedAccessTokens, shared_key, signing_key
from auth.crypto.digests import KeyedDigests, SystemRandomness
from auth.crypto.password_pool import PasswordPool
from auth.crypto.refresh_tokens import SeededRefreshTokens
from auth.errands import BackgroundErrands
from auth.settings import AuthSettings
from auth.storage.announcements import OutboxAnnouncements
from auth.storage.codes import RedisCodeLimits, RedisCodes
from auth.storage.documents import DOCUMENTS
from auth.storage.login_attempts import MongoLoginAttempts
from auth.storage.login_throttles import MongoLoginThrottles
from auth.storage.revoked_sessions import MirroredRevokedSessions
from auth.storage.sessions import MongoSessions
from auth.storage.users import MongoUsers
from auth.use_cases.get_contact import GetContact
from auth.use_cases.get_user import GetUser
from auth.use_cases.issue_code import IssueCode
from auth.use_cases.log_in import LogIn
from auth.use_cases.log_out import LogOut
from auth.use_cases.log_out_all import LogOutAll
from auth.use_cases.open_session import OpenSession
from auth.use_cases.refresh_session import RefreshSession
from auth.use_cases.resend_code import ResendCode
from auth.use_cases.revoke_sessions import RevokeSessions
from auth.use_cases.sign_up import SignUp
from auth.use_cases.verify_email import VerifyEmail


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """Everything outside the use cases, made once."""

    clock: Clock
    ids: Ids
    connection: MongoConnection
    digests: KeyedDigests
    randomness: SystemRandomness
    passwords: PasswordPool
    access_tokens: SignedAccessTokens
    refresh_tokens: SeededRefreshTokens
    users: MongoUsers
    sessions: MongoSessions
    attempts: MongoLoginAttempts
    announcements: OutboxAnnouncements
    codes: RedisCodes
    code_limits: RedisCodeLimits
    revoked: MirroredRevokedSessions
    errands: BackgroundErrands
    courier: NotificationsCourier


async def compose(runtime: Runtime[AuthSettings]) -> None:
    settings = runtime.settings
    connection = await runtime.mongo()
    await init_documents(connection.database, DOCUMENTS)
    channel = open_channel(settings.notifications_address, service="auth")
    runtime.on_stop(channel.close)
    adapters = make_adapters(
        settings,
        connection=connection,
        redis=await runtime.redis(),
        notifications=channel,
        clock=runtime.clock,
        ids=runtime.ids,
    )

    async def close_passwords() -> None:
        adapters.passwords.close()

    runtime.on_stop(close_passwords)
    relay = OutboxRelay(connection.database, await runtime.bus(), source="auth")
    runtime.background("outbox", relay.run)
    runtime.background("errands", adapters.errands.run)
    runtime.background("blacklist", adapters.revoked.keep_loaded)
    servicer = AuthServicer(make_use_cases(adapters))
    runtime.add_servicer(auth_pb2_grpc.add_AuthServiceServicer_to_server, servicer, SERVICE_NAME)


def make_adapters(
    settings: AuthSettings,
    *,
    connection: MongoConnection,
    redis: Redis,
    notifications: grpc.aio.Channel,
    clock: Clock,
    ids: Ids,
) -> Adapters:
    """Raises MissingSetting where a secret is not set."""
    secret = settings.signing_secret
    root = settings.root_secret.encode()
    digests = KeyedDigests(root)
    return Adapters(
        clock=clock,
        ids=ids,
        connection=connection,
        digests=digests,
        randomness=SystemRandomness(),
        passwords=PasswordPool(
            threads=settings.password_threads,
            waiting_max=settings.password_waiting_max,
            memory_kibibytes=settings.password_memory_kibibytes,
            passes=settings.password_passes,
        ),
        access_tokens=SignedAccessTokens(
            key=shared_key(secret) if settings.jwt_algorithm == HS256 else signing_key(secret),
            issuer=settings.issuer,
            audience=settings.audience,
        ),
        refresh_tokens=SeededRefreshTokens(root),
        users=MongoUsers(),
        sessions=MongoSessions(),
        attempts=MongoLoginAttempts(),
        announcements=OutboxAnnouncements(Outbox(connection.database, clock=clock, ids=ids)),
        codes=RedisCodes(redis),
        code_limits=RedisCodeLimits(redis),
        revoked=MirroredRevokedSessions(redis, clock),
        errands=BackgroundErrands(),
        courier=NotificationsCourier(notifications, clock),
    )


def make_use_cases(a: Adapters) -> UseCases:
    issue_code = IssueCode(
        codes=a.codes, courier=a.courier, errands=a.errands, digests=a.digests, randomness=a.randomness,
        clock=a.clock, ids=a.ids,
    )  # fmt: skip
    open_session = OpenSession(
        sessions=a.sessions, access_tokens=a.access_tokens, refresh_tokens=a.refresh_tokens, digests=a.digests,
        randomness=a.randomness, clock=a.clock, ids=a.ids,
    )  # fmt: skip
    transactions = a.connection.transactions
    revoke_sessions = RevokeSessions(
        sessions=a.sessions, revoked=a.revoked, announcements=a.announcements, transactions=transactions, clock=a.clock
    )
    return UseCases(
        sign_up=SignUp(
            users=a.users, attempts=a.attempts, passwords=a.passwords, code_limits=a.code_limits,
            issue_code=issue_code, digests=a.digests, clock=a.clock, ids=a.ids,
        ),
        resend_code=ResendCode(
            users=a.users, code_limits=a.code_limits, issue_code=issue_code, errands=a.errands, clock=a.clock
        ),
        verify_email=VerifyEmail(
            users=a.users, codes=a.codes, open_session=open_session, announcements=a.announcements,
            transactions=transactions, digests=a.digests, clock=a.clock,
        ),
        log_in=LogIn(
            users=a.users, throttles=MongoLoginThrottles(a.digests), attempts=a.attempts, passwords=a.passwords,
            open_session=open_session, digests=a.digests, clock=a.clock,
        ),
        refresh_session=RefreshSession(
            sessions=a.sessions, users=a.users, refresh_tokens=a.refresh_tokens, open_session=open_session,
            revoke_sessions=revoke_sessions, digests=a.digests, clock=a.clock,
        ),
        log_out=LogOut(sessions=a.sessions, refresh_tokens=a.refresh_tokens, revoke_sessions=revoke_sessions),
        log_out_all=LogOutAll(sessions=a.sessions, revoke_sessions=revoke_sessions, clock=a.clock),
        get_user=GetUser(users=a.users),
        get_contact=GetContact(users=a.users),
        access_tokens=a.access_tokens,
    )  # fmt: skip
