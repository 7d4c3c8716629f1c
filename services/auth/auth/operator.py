"""`python -m auth.operator grant-role ada@example.com admin`: what an operator does to accounts by hand.

For who can reach auth's database anyway, such as for the first administrator. Reads the same variables as the service
(`CRYPTOVAULT_MONGO_URL`, `CRYPTOVAULT_REDIS_URL`); every change is in the audit trail with the operator's login name.
`verify-audit` says whether anybody has changed that trail.
"""

import argparse
import asyncio
import getpass
import sys
from pathlib import Path

from chassis.cancellation import end_if_cancelled
from chassis.clock import SystemClock
from chassis.errors import ServiceError
from chassis.identity import Caller, use_caller
from chassis.ids import RandomIds
from chassis.logs import configure_logging
from chassis.mongo import MongoConnection, connect, init_documents
from chassis.outbox import Outbox
from chassis.settings import MissingSetting, load_settings, refuse_to_start
from pymongo.errors import PyMongoError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from auth.audit_command import add_commands, print_key, verify_audit
from auth.domain.audit_chain import AuditStream
from auth.domain.roles import PERMISSIONS_BY_ROLE
from auth.settings import AuthSettings
from auth.storage.announcements import OutboxAnnouncements
from auth.storage.api_keys import MongoApiKeys
from auth.storage.audit_trail import MongoAuditTrail
from auth.storage.deferred_audit import MongoDeferredAudit
from auth.storage.documents import DOCUMENTS
from auth.storage.revoked_sessions import MirroredRevokedSessions
from auth.storage.second_factors import MongoSecondFactors
from auth.storage.sessions import MongoSessions
from auth.storage.users import MongoUsers
from auth.use_cases.audit_ports import BrokenRecord
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.grant_role import GrantRole
from auth.use_cases.record_audit import RecordAudit
from auth.use_cases.record_audit_soon import RecordAuditSoon
from auth.use_cases.remove_second_factor import RemoveSecondFactor
from auth.use_cases.revoke_api_keys import RevokeApiKeys
from auth.use_cases.revoke_role import RevokeRole
from auth.use_cases.revoke_sessions import RevokeSessions

EXIT_UNREACHABLE = 3  # could not look; 1 says that something is wrong
EXIT_BROKEN_OFF = 130  # by Ctrl-C, as shells tell it


def main() -> int:
    arguments = _parser().parse_args()
    settings = load_settings(AuthSettings)
    configure_logging(settings, stream=sys.stderr)
    try:
        if arguments.command == "audit-key":
            return print_key(settings)
        if arguments.command == "verify-audit":
            return asyncio.run(_verify(settings, arguments.anchors))
        mongo_url, redis_url = settings.required("mongo_url"), settings.required("redis_url")
        return asyncio.run(_run(arguments, settings, mongo_url, redis_url))
    except MissingSetting as missing:
        refuse_to_start(str(missing))
    except KeyboardInterrupt:
        sys.stderr.write("Broken off.\n")
        return EXIT_BROKEN_OFF


async def _verify(settings: AuthSettings, anchors: Path | None) -> int:
    try:
        return await verify_audit(settings, anchors)
    except (BrokenRecord, OSError, PyMongoError) as error:
        end_if_cancelled()  # Ctrl-C may come out of the driver as an error of its own
        sys.stderr.write(f"The audit trail cannot be verified: {error}\n")
        return EXIT_UNREACHABLE


async def _run(arguments: argparse.Namespace, settings: AuthSettings, mongo_url: str, redis_url: str) -> int:
    connection = connect(mongo_url, settings.database_name)
    redis = Redis.from_url(redis_url)
    operator = Caller(
        service=f"operator:{getpass.getuser()}",
        user_id=None,
        session_id=None,
        request_id=str(RandomIds().new()),
        address=None,
    )
    try:
        # Before anything changes: a session that ends must be known to the gateways at once.
        await redis.ping()
        await init_documents(connection.database, DOCUMENTS)
        with use_caller(operator):
            changed = await _change(arguments, connection, redis)
    except (ServiceError, RedisError, PyMongoError) as error:
        end_if_cancelled()
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        await redis.aclose()
        await connection.close()
    sys.stdout.write("Done.\n" if changed else "Nothing to change.\n")
    return 0


async def _change(arguments: argparse.Namespace, connection: MongoConnection, redis: Redis) -> bool:
    """Whether there was anything to change. Raises ServiceError."""
    clock, ids, users, sessions = SystemClock(), RandomIds(), MongoUsers(), MongoSessions()
    audit_trail = MongoAuditTrail()
    await audit_trail.open(AuditStream.AUTH)
    record_audit = RecordAudit(audit_trail=audit_trail, clock=clock, ids=ids)
    if arguments.command == "grant-role":
        grant = GrantRole(users=users, record_audit=record_audit, transactions=connection.transactions)
        return await grant(email=arguments.email, role=arguments.role)
    revoked = MirroredRevokedSessions(redis, clock)
    announcements = OutboxAnnouncements(Outbox(connection.database, clock=clock, ids=ids))
    revoke_sessions = RevokeSessions(
        sessions=sessions,
        revoked=revoked,
        announcements=announcements,
        record_soon=RecordAuditSoon(deferred=MongoDeferredAudit(), clock=clock, ids=ids),
        transactions=connection.transactions,
        clock=clock,
    )
    end_sessions = EndSessions(sessions=sessions, revoke_sessions=revoke_sessions, clock=clock)
    if arguments.command == "revoke-role":
        revoke = RevokeRole(
            users=users, end_sessions=end_sessions, record_audit=record_audit, transactions=connection.transactions
        )
        return await revoke(email=arguments.email, role=arguments.role)
    remove = RemoveSecondFactor(
        users=users,
        second_factors=MongoSecondFactors(),
        end_sessions=end_sessions,
        revoke_api_keys=RevokeApiKeys(
            api_keys=MongoApiKeys(),
            revoked=revoked,
            record_audit=record_audit,
            transactions=connection.transactions,
            clock=clock,
        ),
        announcements=announcements,
        record_audit=record_audit,
        transactions=connection.transactions,
        clock=clock,
    )
    return await remove(email=arguments.email)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m auth.operator", description="Change accounts by hand.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("grant-role", "give an account a role"), ("revoke-role", "take it away, end its sessions")):
        command = commands.add_parser(name, help=text)
        command.add_argument("email")
        command.add_argument("role", choices=tuple(PERMISSIONS_BY_ROLE))
    remove = commands.add_parser(
        "remove-second-factor", help="once you are sure who asks; freezes the account until its mailbox opens it"
    )
    remove.add_argument("email")
    add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
