from dataclasses import replace

from chassis.clock import Clock
from chassis.errors import Unavailable
from chassis.identity import current_caller
from chassis.logs import get_logger

from auth.domain.devices import KnownDevice
from auth.domain.errors import InvalidRefreshToken, RefreshTokenReused, SessionEnded
from auth.domain.notices import NoticeEvent
from auth.domain.sessions import RefreshVerdict, Session, judge_refresh, refresh_expiry
from auth.domain.users import User
from auth.use_cases.crypto_ports import DeviceTokens, PresentedToken, RefreshTokens
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.open_session import OpenSession, SignedIn
from auth.use_cases.ports import Sessions, Users
from auth.use_cases.revoke_sessions import RevokeSessions

RACES_MAX = 3  # who loses the race for a rotation reads once more and finds the token spent a moment ago

log = get_logger(__name__)


class RefreshSession:
    """Spends a refresh token for the next one. Two reads and one write: this is the call that every client repeats."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        users: Users,
        refresh_tokens: RefreshTokens,
        device_tokens: DeviceTokens,
        open_session: OpenSession,
        revoke_sessions: RevokeSessions,
        notify_owner: NotifyOwner,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._users = users
        self._refresh_tokens = refresh_tokens
        self._device_tokens = device_tokens
        self._open_session = open_session
        self._revoke_sessions = revoke_sessions
        self._notify_owner = notify_owner
        self._clock = clock

    async def __call__(self, *, refresh_token: str, device_token: str = "") -> SignedIn:
        """`device_token` came with the session; without it a token is good for one use, however soon the second, and
        the reply has none either: who has the refresh token alone must not become the owner's device by it.

        Raises InvalidRefreshToken, SessionEnded, RefreshTokenReused (and the session is over).
        """
        token = self._refresh_tokens.read(refresh_token)
        if token is None:
            raise InvalidRefreshToken
        for _ in range(RACES_MAX):
            session = await self._genuine_session(token)
            user = await self._users.by_id(session.user_id)
            # A session may have been opened while the account was being frozen.
            if user is None or user.frozen_at is not None:
                raise SessionEnded
            device = self._device_tokens.read(user, device_token)
            by_device = device == KnownDevice(session.device_id)
            continued = await self._continued(user, session, token, by_device=by_device)
            if continued is not None:
                break
        else:
            raise Unavailable("The session is being refreshed by others right now.")
        signed_in = self._open_session.signed_in(user, continued)
        return signed_in if by_device else replace(signed_in, device_token="")

    async def _continued(
        self, user: User, session: Session, token: PresentedToken, *, by_device: bool
    ) -> Session | None:
        """The session with its next token current; None where somebody else rotated it just now."""
        now = self._clock.now()
        verdict = judge_refresh(session, generation=token.generation, by_device=by_device, now=now)
        match verdict:
            case RefreshVerdict.ROTATE:
                expires_at = refresh_expiry(session, now)
                if not await self._sessions.rotate(
                    session, now=now, by_device=by_device, address=current_caller().address, expires_at=expires_at
                ):
                    return None
                return replace(session, generation=session.generation + 1, expires_at=expires_at)
            case RefreshVerdict.REPEAT:
                return session
            case RefreshVerdict.REUSED:
                await self._revoke_sessions([session], why=RefreshTokenReused.reason)
                self._notify_owner(user, NoticeEvent.SESSION_COPIED, device=session.device_name)
                log.warning("Spent token came back", event="refresh_token_reused", session_id=str(session.id))
                raise RefreshTokenReused
            case RefreshVerdict.ENDED:
                raise SessionEnded

    async def _genuine_session(self, token: PresentedToken) -> Session:
        session = await self._sessions.by_id(token.session_id)
        if session is None or not self._refresh_tokens.is_genuine(token, session):
            raise InvalidRefreshToken
        return session
