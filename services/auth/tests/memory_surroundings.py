"""What auth tells and asks, in memory: transactions, events, the audit trail, codes, hashes, mails."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from auth.domain.audit import AuditEntry
from auth.domain.audit_chain import SealedEntry, StreamHead, seal
from auth.domain.email_address import EmailAddress
from auth.domain.one_time_codes import SEND_LIMITS, TRIES_MAX, CodeCheck, CodePurpose, CodeVerdict
from auth.domain.sessions import Session
from auth.use_cases.audit_ports import AuditFilter, AuditPage
from auth.use_cases.crypto_ports import PasswordCheck
from auth.use_cases.ports import CodeMessage
from cryptovault.notifications.v1 import notifications_pb2, notifications_pb2_grpc

T = TypeVar("T")


class DirectTransactions:
    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        return await work()


class MemoryAnnouncements:
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def user_verified(self, user_id: UUID, now: datetime) -> None:
        self.told.append(("UserVerified", str(user_id)))

    async def session_revoked(self, session: Session, now: datetime) -> None:
        self.told.append(("SessionRevoked", str(session.user_id)))

    async def second_factor_removed(self, user_id: UUID, now: datetime) -> None:
        self.told.append(("SecondFactorRemoved", str(user_id)))


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

    async def replace(self, purpose: CodePurpose, email: EmailAddress, *, before: str, after: str) -> bool:
        digest, tries = self.live.get((purpose, email), ("", 0))
        if digest != before:
            return False
        self.live[purpose, email] = (after, tries)
        return True

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
        self.sent: Counter[tuple[CodePurpose, str]] = Counter()

    def forget_minutes(self) -> None:
        for key in list(self.sent):
            if key[0] is not CodePurpose.ALREADY_REGISTERED:
                del self.sent[key]

    async def seconds_to_wait(self, purpose: CodePurpose, email: EmailAddress) -> int:
        limit = SEND_LIMITS[purpose]
        if self.sent[purpose, email] >= limit.mails:
            return int(limit.window.total_seconds())
        self.sent[purpose, email] += 1
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


class ListErrands:
    def __init__(self) -> None:
        self._waiting: list[Callable[[], Awaitable[None]]] = []

    def hand_over(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._waiting.append(work)

    async def settle(self) -> None:
        while self._waiting:
            await self._waiting.pop(0)()


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
