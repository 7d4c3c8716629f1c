from uuid import UUID

from chassis.identity import current_caller

from auth.use_cases.end_sessions import EndSessions


class LogOutAll:
    """Ends all sessions of the caller, the present one included."""

    def __init__(self, *, end_sessions: EndSessions) -> None:
        self._end_sessions = end_sessions

    async def __call__(self) -> None:
        """Raises NotSignedIn."""
        await self._end_sessions(UUID(current_caller().required_user()), why="logged_out_everywhere")
