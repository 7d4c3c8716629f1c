"""What the use cases need of secrets, in their words: hashes, tokens, codes, seals. Adapters are in crypto/."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from auth.domain.devices import KnownDevice
from auth.domain.email_address import EmailAddress
from auth.domain.one_time_codes import CodePurpose
from auth.domain.sessions import Session
from auth.domain.users import User


class AppCodes(Protocol):
    """The codes of authenticator apps."""

    def is_code_of_step(self, secret: bytes, code: str, step: int) -> bool: ...

    def uri(self, secret: bytes, email: EmailAddress) -> str: ...

    def shown_secret(self, secret: bytes) -> str: ...

    def qr_rows(self, text: str) -> tuple[str, ...]: ...


class Seal(Protocol):
    """Secrets that must be read again, as they are kept. Bound to their purpose and owner."""

    def close(self, secret: bytes, *, purpose: str, owner: str) -> str: ...

    def open(self, sealed: str, *, purpose: str, owner: str) -> bytes: ...


class Tickets(Protocol):
    """Good for one account and purpose, for a while, until the account is not as it was. Nothing is stored."""

    def issue(self, user: User, now: datetime) -> str: ...

    def user_of(self, ticket: str) -> UUID | None:
        """Whom it claims to be for."""
        ...

    def is_good(self, ticket: str, user: User, now: datetime) -> bool: ...


@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """`stronger_hash` is there where the right password deserves a new hash."""

    right: bool
    stronger_hash: str | None = field(default=None, repr=False)


class Passwords(Protocol):
    """Costly on purpose, bounded, away from the event loop. TooBusy where too many wait."""

    def make_sure_of_room(self) -> None:
        """TooBusy where one more would be refused now."""
        ...

    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
        """Costs the same where there is no hash to verify against."""
        ...


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A refresh token as it came; genuine only if `RefreshTokens.is_genuine` says so."""

    session_id: UUID
    generation: int
    proof: bytes = field(repr=False)


class RefreshTokens(Protocol):
    def token(self, session: Session, generation: int) -> str: ...

    def read(self, text: str) -> PresentedToken | None: ...

    def is_genuine(self, token: PresentedToken, session: Session) -> bool: ...


class DeviceTokens(Protocol):
    def token(self, user: User, device: KnownDevice) -> str: ...

    def read(self, user: User, token: str) -> KnownDevice | None:
        """None for what was not made for that user, or before the last reset by mailbox."""
        ...


class AccessTokens(Protocol):
    def token(self, *, user: User, session_id: UUID, token_id: UUID, now: datetime) -> str: ...

    def key_set(self) -> str:
        """JSON Web Key Set of the public keys; empty where the algorithm has none."""
        ...


class Digests(Protocol):
    """Keyed one-way forms of what must be compared but not stored."""

    def of_code(self, purpose: CodePurpose, email: EmailAddress, code: str) -> str: ...

    def of_recovery_code(self, user_id: UUID, code: str) -> str: ...

    def of_email(self, email: EmailAddress) -> str: ...

    def of_origin(self, address: str | None) -> str: ...


class Randomness(Protocol):
    def below(self, limit: int) -> int: ...

    def bytes(self, length: int) -> bytes: ...
