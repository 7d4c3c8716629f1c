from uuid import UUID

from chassis.clock import Clock

from auth.use_cases.ports import Sessions
from auth.use_cases.revoke_sessions import RevokeSessions

BATCH_MAX = 50  # sessions in one transaction, which must end within its deadline


class EndSessions:
    """Ends all sessions of a user, or all but one."""

    def __init__(self, *, sessions: Sessions, revoke_sessions: RevokeSessions, clock: Clock) -> None:
        self._sessions = sessions
        self._revoke_sessions = revoke_sessions
        self._clock = clock

    async def __call__(self, user_id: UUID, *, why: str, but: UUID | None = None) -> None:
        """Must not run inside a transaction: there may be more sessions than one can end."""
        while live := await self._sessions.live_of_user(user_id, self._clock.now(), BATCH_MAX, but=but):
            await self._revoke_sessions(live, why=why)
