from uuid import UUID

from chassis.identity import NotSignedIn, current_caller

from auth.domain.devices import KnownDevice
from auth.use_cases.ports import Sessions


class CallersDevice:
    """The device of the session that the caller acts in: whoever holds that session has that device's tries alone."""

    def __init__(self, *, sessions: Sessions) -> None:
        self._sessions = sessions

    async def __call__(self) -> KnownDevice:
        """Raises NotSignedIn, also where the session is over."""
        caller = current_caller()
        session = await self._sessions.by_id(UUID(caller.session_id)) if caller.session_id else None
        if session is None or str(session.user_id) != caller.user_id or session.revoked_at is not None:
            raise NotSignedIn
        return KnownDevice(session.device_id)
