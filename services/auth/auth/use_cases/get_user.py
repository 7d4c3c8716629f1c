from uuid import UUID

from chassis.identity import NotSignedIn, current_caller

from auth.domain.errors import SessionEnded
from auth.domain.users import User
from auth.use_cases.ports import Sessions, Users


class GetUser:
    """The caller's own profile."""

    def __init__(self, *, users: Users, sessions: Sessions) -> None:
        self._users = users
        self._sessions = sessions

    async def __call__(self) -> User:
        """Raises NotSignedIn, also where the account is gone; SessionEnded where the caller's session is over."""
        caller = current_caller()
        user = await self._users.by_id(UUID(caller.required_user()))
        if user is None:
            raise NotSignedIn
        if caller.session_id is not None:
            # Here the truth is at hand: a session that Redis has forgotten to be over gets no profile.
            session = await self._sessions.by_id(UUID(caller.session_id))
            if session is None or session.revoked_at is not None:
                raise SessionEnded
        return user
