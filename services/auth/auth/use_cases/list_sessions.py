from collections.abc import Sequence
from uuid import UUID

from chassis.clock import Clock
from chassis.identity import current_caller

from auth.domain.sessions import Session
from auth.use_cases.ports import Sessions

LISTED_MAX = 200  # a page of the API; who has more signs out everywhere


class ListSessions:
    """The caller's living sessions, the one used last first."""

    def __init__(self, *, sessions: Sessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    async def __call__(self) -> Sequence[Session]:
        """Raises NotSignedIn."""
        user_id = UUID(current_caller().required_user())
        live = await self._sessions.live_of_user(user_id, self._clock.now(), LISTED_MAX)
        return sorted(live, key=lambda session: session.rotated_at, reverse=True)
