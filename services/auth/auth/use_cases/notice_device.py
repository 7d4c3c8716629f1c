from chassis.clock import Clock

from auth.domain.notices import NoticeEvent
from auth.domain.sessions import Session
from auth.domain.users import User
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import Sessions


class NoticeDevice:
    """Tells an account's owner of a sign-in on a device not seen before.

    Seen is a device that shows its token, and a place (address and name) with a living session: programs that sign in
    again and again keep no token.
    """

    def __init__(self, *, sessions: Sessions, notify_owner: NotifyOwner, clock: Clock) -> None:
        self._sessions = sessions
        self._notify_owner = notify_owner
        self._clock = clock

    async def __call__(self, user: User, session: Session) -> None:
        """For a session that shows no token, before it is stored."""
        seen = await self._sessions.lives_at(
            user.id, address=session.address, device_name=session.device_name, now=self._clock.now()
        )
        if not seen:
            self._notify_owner(user, NoticeEvent.NEW_DEVICE, device=session.device_name)
