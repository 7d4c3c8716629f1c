"""Puts auth together. The one place that knows which adapter serves which port."""

from dataclasses import dataclass

from chassis.clock import Clock
from chassis.grpc_client import open_channel
from chassis.ids import Ids
from chassis.inbox import Inbox
from chassis.journal_consumer import JournalConsumer
from chassis.mongo import MongoConnection, init_documents
from chassis.outbox import Outbox, OutboxRelay
from chassis.service import Runtime
from cryptovault.auth.v1 import auth_pb2_grpc

from auth.api.servicer import SERVICE_NAME, AuthServicer, UseCases
from auth.chain_schedule import ChainSchedule
from auth.checkpoint_schedule import CheckpointSchedule
from auth.clients.notifications import NotificationsCourier
from auth.clients.trading import TradingJournal
from auth.crypto.access_tokens import HS256, SignedAccessTokens, retired_keys, shared_key, signing_key
from auth.crypto.checkpoint_key import CheckpointKey
from auth.crypto.device_tokens import SignedDeviceTokens
from auth.crypto.digests import KeyedDigests, SystemRandomness
from auth.crypto.password_pool import PasswordPool
from auth.crypto.refresh_tokens import SeededRefreshTokens
from auth.crypto.seal import RootSeal
from auth.crypto.tickets import challenge_tickets, freeze_tickets
from auth.crypto.totp import AppCodes
from auth.domain.audit_chain import AuditStream
from auth.errands import BackgroundErrands
from auth.events.subscriptions import audited
from auth.settings import AuthSettings
from auth.storage.announcements import OutboxAnnouncements
from auth.storage.api_keys import MongoApiKeys
from auth.storage.audit_anchors import FileAnchors
from auth.storage.audit_checkpoints import MongoAuditCheckpoints
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
from auth.use_cases import audit_ports, crypto_ports, ports
from auth.use_cases.anchor_checkpoints import AnchorCheckpoints
from auth.use_cases.answer_challenge import AnswerChallenge
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.chain_deferred import ChainDeferred
from auth.use_cases.change_password import ChangePassword
from auth.use_cases.change_profile import ChangeProfile
from auth.use_cases.create_api_key import CreateApiKey
from auth.use_cases.delete_api_key import DeleteApiKey
from auth.use_cases.disable_second_factor import DisableSecondFactor
from auth.use_cases.enable_second_factor import EnableSecondFactor
from auth.use_cases.end_session import EndSession
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.find_api_key import FindApiKey
from auth.use_cases.fold_journal import BatchActs, FoldJournal
from auth.use_cases.freeze_account import FreezeAccount
from auth.use_cases.get_contact import GetContact
from auth.use_cases.get_user import GetUser
from auth.use_cases.issue_code import IssueCode
from auth.use_cases.list_api_keys import ListApiKeys
from auth.use_cases.list_audit_entries import ListAuditEntries
from auth.use_cases.list_revoked import ListRevoked
from auth.use_cases.list_sessions import ListSessions
from auth.use_cases.log_in import LogIn
from auth.use_cases.log_out import LogOut
from auth.use_cases.log_out_all import LogOutAll
from auth.use_cases.make_recovery_codes import MakeRecoveryCodes
from auth.use_cases.note_attempt import NoteAttempt
from auth.use_cases.notice_device import NoticeDevice
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.open_session import OpenSession
from auth.use_cases.prove_password import ProvePassword
from auth.use_cases.prove_second_factor import ProveSecondFactor
from auth.use_cases.record_audit import RecordAudit
from auth.use_cases.record_audit_soon import RecordAuditSoon
from auth.use_cases.refresh_session import RefreshSession
from auth.use_cases.renew_recovery_codes import RenewRecoveryCodes
from auth.use_cases.request_password_reset import RequestPasswordReset
from auth.use_cases.require_step_up import RequireStepUp
from auth.use_cases.resend_code import ResendCode
from auth.use_cases.reset_password import ResetPassword
from auth.use_cases.revoke_api_keys import RevokeApiKeys
from auth.use_cases.revoke_sessions import RevokeSessions
from auth.use_cases.search_audit_trail import SearchAuditTrail
from auth.use_cases.set_up_second_factor import SetUpSecondFactor
from auth.use_cases.sign_up import SignUp
from auth.use_cases.spend_code import SpendCode
from auth.use_cases.step_up import StepUp
from auth.use_cases.take_checkpoint import TakeCheckpoint
from auth.use_cases.verify_email import VerifyEmail


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """What serves each port of the use cases."""

    clock: Clock
    ids: Ids
    transactions: ports.Transactions
    # For what ends with an entry in auth's stream of the audit trail.
    in_turn: ports.Transactions
    digests: crypto_ports.Digests
    randomness: crypto_ports.Randomness
    passwords: crypto_ports.Passwords
    access_tokens: crypto_ports.AccessTokens
    refresh_tokens: crypto_ports.RefreshTokens
    device_tokens: crypto_ports.DeviceTokens
    challenges: crypto_ports.Tickets
    freeze_tickets: crypto_ports.Tickets
    # Where the link in a mail leads.
    freeze_page: str
    app_codes: crypto_ports.AppCodes
    seal: crypto_ports.Seal
    users: ports.Users
    throttles: ports.LoginThrottles
    attempts: ports.LoginAttempts
    sessions: ports.Sessions
    second_factors: ports.SecondFactors
    second_factor_throttles: ports.SecondFactorThrottles
    api_keys: ports.ApiKeys
    revoked: ports.RevokedSessions
    announcements: ports.Announcements
    audit_trail: audit_ports.AuditTrail
    deferred_audit: audit_ports.DeferredAudit
    audit_queries: audit_ports.AuditQueries
    codes: ports.Codes
    code_limits: ports.CodeLimits
    courier: ports.Courier
    errands: ports.Errands


async def compose(runtime: Runtime[AuthSettings]) -> None:
    settings = runtime.settings
    connection = await runtime.mongo()
    redis = await runtime.redis()
    access_tokens = make_access_tokens(settings)
    root = settings.root_secret.encode()
    await init_documents(connection.database, DOCUMENTS)
    channel = open_channel(settings.notifications_address, to="notifications", identity=runtime.identity)
    runtime.on_stop(channel.close)
    passwords = make_passwords(settings)
    runtime.on_stop(passwords.close)
    errands = BackgroundErrands()
    runtime.background("errands", errands.run)
    revoked = MirroredRevokedSessions(redis, runtime.clock)
    runtime.background("blacklist", revoked.keep_loaded)
    runtime.background("outbox", OutboxRelay(connection.database, await runtime.bus(), source="auth").run)
    attempts = MongoLoginAttempts()
    runtime.on_stop(attempts.flush)
    runtime.background("login_attempts", attempts.run)
    audit_trail = await _keep_audit_trail(runtime, connection, root)
    in_turn, deferred_audit = InTurn(connection.transactions), MongoDeferredAudit()
    chain = ChainDeferred(deferred=deferred_audit, audit_trail=audit_trail, transactions=in_turn)
    runtime.background("deferred_audit", ChainSchedule(chain).run)
    digests = KeyedDigests(root)
    adapters = Adapters(
        clock=runtime.clock,
        ids=runtime.ids,
        transactions=connection.transactions,
        in_turn=in_turn,
        digests=digests,
        randomness=SystemRandomness(),
        passwords=passwords,
        access_tokens=access_tokens,
        refresh_tokens=SeededRefreshTokens(root),
        device_tokens=SignedDeviceTokens(root),
        challenges=challenge_tickets(root),
        freeze_tickets=freeze_tickets(root),
        freeze_page=f"{settings.issuer}/freeze",
        app_codes=AppCodes(),
        seal=RootSeal(root),
        users=MongoUsers(),
        throttles=MongoLoginThrottles(digests),
        attempts=attempts,
        sessions=MongoSessions(),
        second_factors=MongoSecondFactors(),
        second_factor_throttles=MongoSecondFactorThrottles(),
        api_keys=MongoApiKeys(),
        revoked=revoked,
        announcements=OutboxAnnouncements(Outbox(connection.database, clock=runtime.clock, ids=runtime.ids)),
        audit_trail=audit_trail,
        deferred_audit=deferred_audit,
        audit_queries=MongoAuditQueries(),
        codes=RedisCodes(redis),
        code_limits=RedisCodeLimits(redis),
        courier=NotificationsCourier(channel, runtime.clock),
        errands=errands,
    )
    servicer = AuthServicer(make_use_cases(adapters))
    runtime.add_servicer(auth_pb2_grpc.add_AuthServiceServicer_to_server, servicer, SERVICE_NAME)


async def _keep_audit_trail(
    runtime: Runtime[AuthSettings], connection: MongoConnection, root: bytes
) -> MongoAuditTrail:
    """Folds the exchange's journal and other services' events into it, signs in time how far it has come."""
    settings = runtime.settings
    trail, checkpoints = MongoAuditTrail(), MongoAuditCheckpoints()
    for stream in AuditStream:
        await trail.open(stream)
    channel = open_channel(settings.trading_queries_address, to="trading-projector", identity=runtime.identity)
    runtime.on_stop(channel.close)
    # Nobody waits for it, so no bell rings: a look now and then finds many batches and folds them at once.
    fold: JournalConsumer[BatchActs] = JournalConsumer(
        "audit-trail",
        read=TradingJournal(channel, runtime.ids).read,
        apply=FoldJournal(audit_trail=trail),
        transactions=connection.transactions,
        database=connection.database,
    )
    runtime.background("audit-trail", fold.run)
    inbox = Inbox(connection.database, connection.transactions, clock=runtime.clock)
    await inbox.create_indexes()
    await (await runtime.bus()).subscribe(audited(inbox, trail))
    take = TakeCheckpoint(
        audit_trail=trail,
        checkpoints=checkpoints,
        signer=CheckpointKey(root),
        transactions=connection.transactions,
        clock=runtime.clock,
    )
    path = settings.audit_anchors
    anchor = AnchorCheckpoints(checkpoints=checkpoints, anchors=FileAnchors(path)) if path else None
    runtime.background("checkpoints", CheckpointSchedule(take=take, anchor=anchor).run)
    return trail


def make_passwords(settings: AuthSettings) -> PasswordPool:
    return PasswordPool(
        threads=settings.password_threads,
        waiting_max=settings.password_waiting_max,
        wait_seconds_max=settings.password_wait_seconds_max,
        pace_seconds=settings.password_pace_seconds,
        memory_kibibytes=settings.password_memory_kibibytes,
        passes=settings.password_passes,
    )


def make_access_tokens(settings: AuthSettings) -> SignedAccessTokens:
    """Raises MissingSetting where the algorithm's secret is not set."""
    secret = settings.signing_secret
    key = shared_key(secret) if settings.jwt_algorithm == HS256 else signing_key(secret)
    retired = retired_keys(settings.required("jwt_retired_keys")) if settings.jwt_retired_keys else []
    return SignedAccessTokens(key=key, issuer=settings.issuer, audience=settings.audience, retired=retired)


def make_use_cases(a: Adapters) -> UseCases:
    issue_code = IssueCode(
        codes=a.codes, courier=a.courier, errands=a.errands, digests=a.digests, randomness=a.randomness,
        clock=a.clock, ids=a.ids,
    )  # fmt: skip
    record_soon = RecordAuditSoon(deferred=a.deferred_audit, clock=a.clock, ids=a.ids)
    open_session = OpenSession(
        users=a.users, sessions=a.sessions, access_tokens=a.access_tokens, refresh_tokens=a.refresh_tokens,
        device_tokens=a.device_tokens, randomness=a.randomness, clock=a.clock, ids=a.ids, record_soon=record_soon,
    )  # fmt: skip
    revoke_sessions = RevokeSessions(
        sessions=a.sessions,
        revoked=a.revoked,
        announcements=a.announcements,
        record_soon=record_soon,
        transactions=a.transactions,
        clock=a.clock,
    )
    notify_owner = NotifyOwner(
        courier=a.courier, errands=a.errands, freeze_tickets=a.freeze_tickets, freeze_page=a.freeze_page,
        clock=a.clock, ids=a.ids,
    )  # fmt: skip
    notice_device = NoticeDevice(sessions=a.sessions, notify_owner=notify_owner, clock=a.clock)
    record_audit = RecordAudit(audit_trail=a.audit_trail, clock=a.clock, ids=a.ids)
    note_attempt = NoteAttempt(attempts=a.attempts, digests=a.digests, clock=a.clock)
    prove_second_factor = ProveSecondFactor(
        second_factors=a.second_factors, throttles=a.second_factor_throttles, app_codes=a.app_codes, seal=a.seal,
        digests=a.digests, notify_owner=notify_owner, clock=a.clock,
    )  # fmt: skip
    callers_device = CallersDevice(sessions=a.sessions)
    prove_password = ProvePassword(
        throttles=a.throttles, passwords=a.passwords, callers_device=callers_device, clock=a.clock
    )
    make_recovery_codes = MakeRecoveryCodes(digests=a.digests, randomness=a.randomness)
    revoke_api_keys = RevokeApiKeys(
        api_keys=a.api_keys, revoked=a.revoked, record_audit=record_audit, transactions=a.in_turn, clock=a.clock
    )
    require_step_up = RequireStepUp(users=a.users, sessions=a.sessions, clock=a.clock)
    spend_code = SpendCode(codes=a.codes, digests=a.digests)
    end_sessions = EndSessions(sessions=a.sessions, revoke_sessions=revoke_sessions, clock=a.clock)
    return UseCases(
        sign_up=SignUp(
            users=a.users, attempts=a.attempts, passwords=a.passwords, code_limits=a.code_limits,
            issue_code=issue_code, digests=a.digests, clock=a.clock, ids=a.ids,
        ),
        resend_code=ResendCode(
            users=a.users, code_limits=a.code_limits, issue_code=issue_code, errands=a.errands, clock=a.clock
        ),
        verify_email=VerifyEmail(
            users=a.users, spend_code=spend_code, open_session=open_session, announcements=a.announcements,
            transactions=a.transactions, digests=a.digests, clock=a.clock,
        ),
        log_in=LogIn(
            users=a.users, throttles=a.throttles, passwords=a.passwords, open_session=open_session,
            device_tokens=a.device_tokens, challenges=a.challenges, note_attempt=note_attempt,
            notice_device=notice_device, notify_owner=notify_owner, clock=a.clock,
        ),
        answer_challenge=AnswerChallenge(
            users=a.users, challenges=a.challenges, prove_second_factor=prove_second_factor, open_session=open_session,
            device_tokens=a.device_tokens, note_attempt=note_attempt, notice_device=notice_device, clock=a.clock,
        ),
        set_up_second_factor=SetUpSecondFactor(
            users=a.users, second_factors=a.second_factors, app_codes=a.app_codes, seal=a.seal, randomness=a.randomness
        ),
        enable_second_factor=EnableSecondFactor(
            users=a.users, second_factors=a.second_factors, prove_second_factor=prove_second_factor,
            prove_password=prove_password, callers_device=callers_device, make_recovery_codes=make_recovery_codes,
            end_sessions=end_sessions, notify_owner=notify_owner, record_audit=record_audit, transactions=a.in_turn,
        ),
        disable_second_factor=DisableSecondFactor(
            users=a.users, second_factors=a.second_factors, prove_second_factor=prove_second_factor,
            callers_device=callers_device, notify_owner=notify_owner, record_audit=record_audit, transactions=a.in_turn,
        ),
        renew_recovery_codes=RenewRecoveryCodes(
            users=a.users, second_factors=a.second_factors, prove_second_factor=prove_second_factor,
            callers_device=callers_device, make_recovery_codes=make_recovery_codes, notify_owner=notify_owner,
            record_audit=record_audit, transactions=a.in_turn,
        ),
        step_up=StepUp(
            users=a.users, sessions=a.sessions, prove_second_factor=prove_second_factor, callers_device=callers_device,
            record_audit=record_audit, transactions=a.in_turn, clock=a.clock,
        ),
        require_step_up=require_step_up,
        create_api_key=CreateApiKey(
            users=a.users, api_keys=a.api_keys, seal=a.seal, randomness=a.randomness, callers_device=callers_device,
            notify_owner=notify_owner, record_audit=record_audit, transactions=a.in_turn, clock=a.clock, ids=a.ids,
        ),
        list_api_keys=ListApiKeys(api_keys=a.api_keys),
        delete_api_key=DeleteApiKey(api_keys=a.api_keys, revoke_api_keys=revoke_api_keys),
        find_api_key=FindApiKey(users=a.users, api_keys=a.api_keys, seal=a.seal, clock=a.clock),
        list_revoked=ListRevoked(revoked=a.revoked),
        list_sessions=ListSessions(sessions=a.sessions, clock=a.clock),
        end_session=EndSession(sessions=a.sessions, revoke_sessions=revoke_sessions),
        freeze_account=FreezeAccount(
            users=a.users, freeze_tickets=a.freeze_tickets, revoke_api_keys=revoke_api_keys, end_sessions=end_sessions,
            notify_owner=notify_owner, record_audit=record_audit, transactions=a.in_turn, clock=a.clock,
        ),
        request_password_reset=RequestPasswordReset(
            users=a.users, code_limits=a.code_limits, issue_code=issue_code, errands=a.errands, clock=a.clock
        ),
        reset_password=ResetPassword(
            users=a.users, passwords=a.passwords, spend_code=spend_code, revoke_api_keys=revoke_api_keys,
            end_sessions=end_sessions, notify_owner=notify_owner, record_audit=record_audit, transactions=a.in_turn,
        ),
        change_password=ChangePassword(
            users=a.users, passwords=a.passwords, prove_password=prove_password, end_sessions=end_sessions,
            notify_owner=notify_owner, require_step_up=require_step_up, record_audit=record_audit,
            transactions=a.in_turn,
        ),
        refresh_session=RefreshSession(
            sessions=a.sessions, users=a.users, refresh_tokens=a.refresh_tokens, device_tokens=a.device_tokens,
            open_session=open_session, revoke_sessions=revoke_sessions, notify_owner=notify_owner, clock=a.clock,
        ),
        log_out=LogOut(sessions=a.sessions, refresh_tokens=a.refresh_tokens, revoke_sessions=revoke_sessions),
        log_out_all=LogOutAll(end_sessions=end_sessions),
        get_user=(get_user := GetUser(users=a.users, sessions=a.sessions)),
        change_profile=ChangeProfile(
            users=a.users, get_user=get_user, record_audit=record_audit, transactions=a.transactions
        ),
        get_contact=GetContact(users=a.users),
        list_audit_entries=ListAuditEntries(queries=a.audit_queries),
        search_audit_trail=SearchAuditTrail(queries=a.audit_queries),
        access_tokens=a.access_tokens,
    )  # fmt: skip
