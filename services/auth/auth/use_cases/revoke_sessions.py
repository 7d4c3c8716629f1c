from collections.abc import Sequence

from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.sessions import REVOKED_FOR, Session
from auth.use_cases.ports import Announcements, RevokedSessions, Sessions, Transactions
from auth.use_cases.record_audit_soon import RecordAuditSoon

log = get_logger(__name__)


class RevokeSessions:
    """Ends sessions: no refresh any more, and their access tokens are void before they expire."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        revoked: RevokedSessions,
        announcements: Announcements,
        record_soon: RecordAuditSoon,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._revoked = revoked
        self._announcements = announcements
        self._record_soon = record_soon
        self._transactions = transactions
        self._clock = clock

    async def __call__(self, sessions: Sequence[Session], *, why: str) -> None:
        """All of them or none; one that has ended already is left as it is."""
        now = self._clock.now()

        async def end() -> list[Session]:
            ended = []
            for session in sessions:
                if await self._sessions.revoke(session.id, now):
                    await self._revoked.remember(session.id, user_id=session.user_id, now=now, until=now + REVOKED_FOR)
                    await self._announcements.session_revoked(session, now)
                    await self._record_soon.session_ended(session, why=why)
                    ended.append(session)
            return ended

        try:
            for session in await self._transactions.run(end):
                await self._revoked.publish(session.id, seconds=int(REVOKED_FOR.total_seconds()))
                log.info(
                    "Session ended",
                    event="session_revoked",
                    account_id=str(session.user_id),
                    session_id=str(session.id),
                    why=why,
                )
        except BaseException:
            # The caller gave up, or the commit's reply was lost: they may have ended all the same.
            self._revoked.doubt()
            raise
