from datetime import datetime
from uuid import UUID

from chassis.clock import Clock
from chassis.identity import NotSignedIn, current_caller
from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.errors import SessionEnded, TwoFactorNotEnabled, WrongSecondFactor
from auth.domain.second_factor import STEP_UP_LIFETIME
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.ports import Sessions, Transactions, Users
from auth.use_cases.prove_second_factor import ProveSecondFactor
from auth.use_cases.record_audit import RecordAudit

log = get_logger(__name__)


class StepUp:
    """Opens the caller's session for what needs a fresh second factor, for five minutes."""

    def __init__(
        self,
        *,
        users: Users,
        sessions: Sessions,
        prove_second_factor: ProveSecondFactor,
        callers_device: CallersDevice,
        record_audit: RecordAudit,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._prove_second_factor = prove_second_factor
        self._callers_device = callers_device
        self._record_audit = record_audit
        self._transactions = transactions
        self._clock = clock

    async def __call__(self, *, code: str) -> datetime:
        """Until when. Raises NotSignedIn, SessionEnded, MalformedCode, TwoFactorNotEnabled, WrongSecondFactor,
        SecondFactorLocked.
        """
        caller = current_caller()
        user = await self._users.by_id(UUID(caller.required_user()))
        if user is None or caller.session_id is None:
            raise NotSignedIn
        if not user.two_factor_enabled:
            raise TwoFactorNotEnabled
        if not await self._prove_second_factor(user, code, await self._callers_device()):
            raise WrongSecondFactor
        session_id, until = UUID(caller.session_id), self._clock.now() + STEP_UP_LIFETIME

        async def open_session() -> None:
            if not await self._sessions.step_up(session_id, until):
                raise SessionEnded
            await self._record_audit(AuditAction.STEPPED_UP, user_id=user.id)

        await self._transactions.run(open_session)
        log.info("Stepped up", event="stepped_up", account_id=str(user.id), session_id=caller.session_id)
        return until
