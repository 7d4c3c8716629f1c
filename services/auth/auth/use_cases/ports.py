"""What the use cases need of the outside, in their words. Adapters are in storage/ and clients/.

What crypto/ serves is in `crypto_ports`, the audit trail in `audit_ports`.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from auth.domain.api_keys import ApiKey
from auth.domain.devices import KnownDevice
from auth.domain.email_address import EmailAddress
from auth.domain.login_throttle import LoginThrottle
from auth.domain.one_time_codes import CodeCheck, CodePurpose
from auth.domain.second_factor import SecondFactor
from auth.domain.sessions import Session
from auth.domain.users import CodeCount, User

T = TypeVar("T")


class Transactions(Protocol):
    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """All database writes in `work`, or none. `work` may run twice."""
        ...


class Users(Protocol):
    async def by_email(self, email: EmailAddress) -> User | None: ...

    async def by_id(self, user_id: UUID) -> User | None: ...

    async def add(self, user: User) -> bool:
        """False where the address was taken in the meantime."""
        ...

    async def replace_claim(self, before: User, after: User) -> bool:
        """Name, password and claim of an unverified account; False where it is no longer as `before` says."""
        ...

    async def mark_verified(self, user_id: UUID, *, password_hash: str) -> bool:
        """True once per user, for ever; the password is that one then. Joins the running transaction."""
        ...

    async def note_sign_in(self, user_id: UUID, now: datetime) -> None:
        """Sets the last sign-in and clears the failures. Joins the running transaction."""
        ...

    async def admit(self, user_id: UUID, now: datetime) -> bool:
        """The same, unless the account is locked at that very moment: then nothing changes and it is False."""
        ...

    async def rename(self, user_id: UUID, name: str) -> None:
        """Joins the running transaction."""
        ...

    async def set_two_factor(self, user_id: UUID, *, enabled: bool) -> None:
        """What the profile shows. Joins the running transaction."""
        ...

    async def freeze(self, user_id: UUID, now: datetime) -> bool:
        """False where it is frozen already. Joins the running transaction."""
        ...

    async def unfreeze(self, user_id: UUID) -> bool:
        """False where it is not frozen. Joins the running transaction."""
        ...

    async def add_role(self, user_id: UUID, role: str) -> bool:
        """False where the account has it already. Joins the running transaction."""
        ...

    async def remove_role(self, user_id: UUID, role: str) -> bool:
        """False where the account does not have it. Joins the running transaction."""
        ...

    async def note_known_sign_in(self, user_id: UUID, now: datetime) -> None:
        """Sets the last sign-in; the failures of strangers stay counted."""
        ...

    async def count_reset_code(self, before: User, count: CodeCount) -> bool:
        """False where the count is no longer as `before` says."""
        ...

    async def set_password(self, user_id: UUID, password_hash: str) -> None:
        """By a code to the mailbox, which is counted; the failures are cleared. Joins the running transaction."""
        ...

    async def replace_password(self, user_id: UUID, *, old_hash: str, new_hash: str) -> bool:
        """False where it was changed in the meantime. Joins the running transaction."""
        ...


class LoginThrottles(Protocol):
    """One throttle per address, whether or not it has an account; and one per known device of an account."""

    async def read(self, email: EmailAddress, device: KnownDevice | None = None) -> LoginThrottle: ...

    async def count_failure(
        self, email: EmailAddress, now: datetime, device: KnownDevice | None = None
    ) -> LoginThrottle | None:
        """What it is after the failure; None where it was locked already. Exact under concurrency: five are counted."""
        ...

    async def forget(self, email: EmailAddress, device: KnownDevice) -> None:
        """The failures of a known device."""
        ...


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """For the record. Knows an unknown address only by its digest."""

    user_id: UUID | None
    email_digest: str
    address: str | None
    succeeded: bool
    reason: str
    timestamp: datetime


class LoginAttempts(Protocol):
    async def record(self, attempt: LoginAttempt) -> None:
        """Durably, before it returns."""
        ...

    def note(self, attempt: LoginAttempt) -> None:
        """Soon, together with others: for what other durable writes tell of too. A crash may lose the last second."""
        ...


class Sessions(Protocol):
    async def add(self, session: Session) -> None:
        """Joins the running transaction."""
        ...

    async def by_id(self, session_id: UUID) -> Session | None: ...

    async def rotate(
        self, session: Session, *, now: datetime, by_device: bool, address: str | None, expires_at: datetime
    ) -> bool:
        """Spend the token of `session.generation`. False where it is spent already or the session is revoked."""
        ...

    async def revoke(self, session_id: UUID, now: datetime) -> bool:
        """True where it lived until now. Joins the running transaction."""
        ...

    async def lives_at(self, user_id: UUID, *, address: str | None, device_name: str, now: datetime) -> bool:
        """Whether a living session of the user has that address and device name."""
        ...

    async def step_up(self, session_id: UUID, until: datetime) -> bool:
        """False where the session is over. Joins the running transaction."""
        ...

    async def live_of_user(
        self, user_id: UUID, now: datetime, limit: int, *, but: UUID | None = None
    ) -> Sequence[Session]:
        """Some of them, at most `limit`, without the session `but`."""
        ...


class SecondFactors(Protocol):
    """One per account. Every change is decided by the database, so of two racers one sees that it lost."""

    async def get(self, user_id: UUID) -> SecondFactor:
        """An empty one where the account has none."""
        ...

    async def propose(self, user_id: UUID, secret: str) -> bool:
        """False where one is on already."""
        ...

    async def enable(self, user_id: UUID, *, secret: str, step: int, recovery_digests: Sequence[str]) -> bool:
        """False unless `secret` is what was proposed last. Joins the running transaction."""
        ...

    async def disable(self, user_id: UUID) -> bool:
        """False where none is on. Joins the running transaction."""
        ...

    async def spend_step(self, user_id: UUID, step: int) -> bool:
        """False where a code of that step or a later one was taken already."""
        ...

    async def spend_recovery(self, user_id: UUID, digest: str) -> bool:
        """True once per code."""
        ...

    async def replace_recovery(self, user_id: UUID, recovery_digests: Sequence[str]) -> bool:
        """False where none is on. Joins the running transaction."""
        ...


class SecondFactorThrottles(Protocol):
    """One per account, for whoever has its password, and one per known device of it."""

    async def read(self, user_id: UUID, device: KnownDevice | None) -> LoginThrottle: ...

    async def count_try(self, user_id: UUID, now: datetime, device: KnownDevice | None) -> LoginThrottle | None:
        """Takes a try, as if it had failed; None where it is locked. Exact under concurrency: five are taken."""
        ...

    async def forget(self, user_id: UUID, device: KnownDevice | None) -> None:
        """The tries so far, after a right one."""
        ...


class ApiKeys(Protocol):
    async def add(self, key: ApiKey) -> None:
        """Joins the running transaction."""
        ...

    async def by_id(self, key_id: UUID) -> ApiKey | None: ...

    async def of_user(self, user_id: UUID, limit: int) -> Sequence[ApiKey]:
        """Newest first."""
        ...

    async def remove(self, key_id: UUID) -> bool:
        """False where it is gone already. Joins the running transaction."""
        ...

    async def note_use(self, key_id: UUID, now: datetime) -> None: ...


class RevokedSessions(Protocol):
    """Sessions whose access tokens are void, and API keys. The database remembers, Redis answers the gateway."""

    async def remember(self, revoked_id: UUID, *, user_id: UUID, now: datetime, until: datetime) -> None:
        """Durably. Joins the running transaction."""
        ...

    async def publish(self, revoked_id: UUID, *, seconds: int) -> None:
        """To Redis. Where that fails it is made good as soon as Redis is back; nothing is raised."""
        ...

    async def among(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Those that the database remembers."""
        ...

    def doubt(self) -> None:
        """The database may remember some that were not published: soon all are."""
        ...


class Announcements(Protocol):
    """Facts for other services, written with the state they tell of. All join the running transaction."""

    async def user_verified(self, user_id: UUID, now: datetime) -> None: ...

    async def session_revoked(self, session: Session, now: datetime) -> None: ...

    async def second_factor_removed(self, user_id: UUID, now: datetime) -> None: ...


class Codes(Protocol):
    """At most one live code per purpose and address, kept as a digest, gone after its lifetime."""

    async def put(self, purpose: CodePurpose, email: EmailAddress, digest: str) -> None:
        """Replaces the one before; its tries start anew. Unavailable where nothing can be stored."""
        ...

    async def replace(self, purpose: CodePurpose, email: EmailAddress, *, before: str, after: str) -> bool:
        """Another digest for the same code: its tries stay counted, its end stays. False where it is another one."""
        ...

    async def check(self, purpose: CodePurpose, email: EmailAddress, digest: str) -> CodeCheck:
        """Counts the try and judges it in one step, so parallel guesses cannot exceed the limit. Accepts once."""
        ...


class CodeLimits(Protocol):
    async def seconds_to_wait(self, purpose: CodePurpose, email: EmailAddress) -> int:
        """Takes one of the address's sends for that purpose and returns 0, or returns how long until there is one."""
        ...


@dataclass(frozen=True, slots=True)
class CodeMessage:
    """`facts` are a notice's: `event` and what is known of it."""

    message_id: UUID
    user_id: UUID
    email: EmailAddress
    name: str
    code: str = field(repr=False)
    purpose: CodePurpose
    expires_at: datetime
    facts: Mapping[str, str] = field(default_factory=dict)


class Courier(Protocol):
    async def send(self, message: CodeMessage) -> None:
        """Tries until it is taken or the code has expired. A repeat is sent once."""
        ...


class Errands(Protocol):
    def hand_over(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Does the work soon after the reply, whose time then tells nothing. TooBusy where too much waits."""
        ...
