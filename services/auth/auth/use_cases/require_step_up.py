from uuid import UUID

from chassis.clock import Clock
from chassis.identity import NotSignedIn, current_caller

from auth.domain.errors import StepUpRequired
from auth.use_cases.ports import Sessions, Users


class RequireStepUp:
    """Whether the caller's session saw a second factor in the last five minutes. The database answers, not Redis."""

    def __init__(self, *, users: Users, sessions: Sessions, clock: Clock) -> None:
        self._users = users
        self._sessions = sessions
        self._clock = clock

    async def __call__(self) -> None:
        """Raises NotSignedIn, StepUpRequired: who has no second factor has to set one up first."""
        caller = current_caller()
        user = await self._users.by_id(UUID(caller.required_user()))
        if user is None or caller.session_id is None:
            raise NotSignedIn
        session = await self._sessions.by_id(UUID(caller.session_id))
        if session is None or session.user_id != user.id or session.revoked_at is not None:
            raise NotSignedIn
        if not user.two_factor_enabled:
            raise StepUpRequired(two_factor="disabled")
        if session.stepped_up_until is None or session.stepped_up_until <= self._clock.now():
            raise StepUpRequired(two_factor="enabled")
