from uuid import UUID

from chassis.identity import current_caller

from auth.domain.errors import SessionNotFound
from auth.use_cases.ports import Sessions
from auth.use_cases.revoke_sessions import RevokeSessions


class EndSession:
    """Ends one session of the caller. Another user's is as if there were none."""

    def __init__(self, *, sessions: Sessions, revoke_sessions: RevokeSessions) -> None:
        self._sessions = sessions
        self._revoke_sessions = revoke_sessions

    async def __call__(self, *, session_id: UUID) -> None:
        """Raises NotSignedIn, SessionNotFound. One that has ended already is no error."""
        user_id = UUID(current_caller().required_user())
        session = await self._sessions.by_id(session_id)
        if session is None or session.user_id != user_id:
            raise SessionNotFound
        await self._revoke_sessions([session], why="ended_by_owner")
