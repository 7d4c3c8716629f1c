from dataclasses import dataclass, field

from chassis.clock import Clock
from chassis.identity import current_caller
from chassis.ids import Ids

from auth.domain.devices import Device, KnownDevice, device_name
from auth.domain.sessions import ACCESS_LIFETIME, Session, opened_session
from auth.domain.users import User
from auth.use_cases.crypto_ports import AccessTokens, DeviceTokens, Randomness, RefreshTokens
from auth.use_cases.ports import Sessions, Users
from auth.use_cases.record_audit_soon import RecordAuditSoon

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and its secrets. `user` is who signed in; `device_token` is empty where it is not for them to have."""

    session: Session
    user: User
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    device_token: str = field(repr=False)
    access_expires_in: int
    refresh_expires_in: int


class OpenSession:
    """Starts a session for a user who has proven who they are."""

    def __init__(
        self,
        *,
        users: Users,
        sessions: Sessions,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        device_tokens: DeviceTokens,
        randomness: Randomness,
        clock: Clock,
        ids: Ids,
        record_soon: RecordAuditSoon,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens
        self._device_tokens = device_tokens
        self._randomness = randomness
        self._clock = clock
        self._ids = ids
        self._record_soon = record_soon

    def prepare(self, user: User, device: Device) -> Session:
        """A session that exists once it is stored: outside a transaction, so that a second run stores the same."""
        known = self._device_tokens.read(user, device.token)
        return opened_session(
            session_id=self._ids.new(),
            user_id=user.id,
            seed=self._randomness.bytes(SEED_BYTES),
            device_id=known.id if known else self._ids.new(),
            device_name=device_name(device.name),
            address=current_caller().address,
            now=self._clock.now(),
        )

    async def store(self, session: Session, *, by: str) -> None:
        """`by` says what proved who they are. Joins the running transaction."""
        await self._sessions.add(session)
        await self._record_soon.signed_in(session, by=by)

    async def store_unless_overtaken(self, session: Session, user: User, *, by: str) -> bool:
        """False, and there is no session, where the account is no longer as it was when `user` was read.

        A sign-in may wait seconds for its hash. Who sets a password, switches the second factor on, takes a role or
        freezes the account meanwhile ends the sessions there are after that; so of the two one sees the other.
        """
        await self._sessions.add(session)
        present = await self._users.by_id(user.id)
        if present is not None and _what_was_proven(present) == _what_was_proven(user):
            # Before anybody holds its tokens: a session of which there is no record cannot be used.
            await self._record_soon.signed_in(session, by=by)
            return True
        await self._sessions.revoke(session.id, self._clock.now())
        return False

    def signed_in(self, user: User, session: Session) -> SignedIn:
        """Tokens for the session's current generation."""
        now = self._clock.now()
        return SignedIn(
            session=session,
            user=user,
            access_token=self._access_tokens.token(user=user, session_id=session.id, token_id=self._ids.new(), now=now),
            refresh_token=self._refresh_tokens.token(session, session.generation),
            device_token=self._device_tokens.token(user, KnownDevice(session.device_id)),
            access_expires_in=int(ACCESS_LIFETIME.total_seconds()),
            refresh_expires_in=max(0, int((session.expires_at - now).total_seconds())),
        )


def _what_was_proven(user: User) -> tuple[object, ...]:
    return user.password_hash, user.two_factor_enabled, user.frozen_at, user.roles
