from uuid import UUID

from chassis.identity import NotSignedIn, current_caller

from auth.domain.sessions import Session
from auth.use_cases.crypto_ports import RefreshTokens
from auth.use_cases.ports import Sessions
from auth.use_cases.revoke_sessions import RevokeSessions


class LogOut:
    """Ends the session of a refresh token, or the caller's own. Ending what has ended is no error."""

    def __init__(self, *, sessions: Sessions, refresh_tokens: RefreshTokens, revoke_sessions: RevokeSessions) -> None:
        self._sessions = sessions
        self._refresh_tokens = refresh_tokens
        self._revoke_sessions = revoke_sessions

    async def __call__(self, *, refresh_token: str) -> None:
        """Raises NotSignedIn where there is neither a token nor a session to name one."""
        caller = current_caller()
        if not refresh_token and caller.session_id is None:
            raise NotSignedIn
        named = {
            session.id: session
            for session in (await self._by_token(refresh_token), await self._by_id(caller.session_id))
            if session is not None
        }
        await self._revoke_sessions(list(named.values()), why="logged_out")

    async def _by_token(self, refresh_token: str) -> Session | None:
        token = self._refresh_tokens.read(refresh_token)
        session = await self._sessions.by_id(token.session_id) if token else None
        # A spent token will do: it only takes away.
        return session if token and session and self._refresh_tokens.is_genuine(token, session) else None

    async def _by_id(self, session_id: str | None) -> Session | None:
        return await self._sessions.by_id(UUID(session_id)) if session_id else None
