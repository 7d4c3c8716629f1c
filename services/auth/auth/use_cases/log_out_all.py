from uuid import UUID

from chassis.clock import Clock
from chassis.identity import current_caller

from auth.use_cases.ports import Sessions
from auth.use_cases.revoke_sessions import RevokeSessions

BATCH_MAX = 50  # sessions in one transaction, which must end within its deadline


class LogOutAll:
    """Ends all sessions of the caller, the present one included."""

    def __init__(self, *, sessions: Sessions, revoke_sessions: RevokeSessions, clock: Clock) -> None:
        self._sessions = sessions
        self._revoke_sessions = revoke_sessions
        self._clock = clock

    async def __call__(self) -> None:
        """Raises NotSignedIn."""
        user_id = UUID(current_caller().required_user())
        while live := await self._sessions.live_of_user(user_id, self._clock.now(), BATCH_MAX):
            await self._revoke_sessions(live, why="logged_out_everywhere")
