from uuid import UUID

from chassis.identity import NotSignedIn, current_caller
from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.errors import TwoFactorAlreadyEnabled, TwoFactorNotSetUp, WrongSecondFactor
from auth.domain.notices import NoticeEvent
from auth.domain.passwords import normal_form
from auth.domain.second_factor import parse_second_factor
from auth.domain.users import User
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.end_sessions import EndSessions
from auth.use_cases.make_recovery_codes import MakeRecoveryCodes
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import SecondFactors, Transactions, Users
from auth.use_cases.prove_password import ProvePassword
from auth.use_cases.prove_second_factor import ProveSecondFactor
from auth.use_cases.record_audit import RecordAudit

log = get_logger(__name__)


class EnableSecondFactor:
    """Switches the proposed secret on by a code of it and the password; from then on sign-in asks for one.

    The password, because a stolen session could else put a thief's factor between the owner and the account. Ends the
    caller's other sessions: they were opened without it.
    """

    def __init__(
        self,
        *,
        users: Users,
        second_factors: SecondFactors,
        prove_second_factor: ProveSecondFactor,
        prove_password: ProvePassword,
        callers_device: CallersDevice,
        make_recovery_codes: MakeRecoveryCodes,
        end_sessions: EndSessions,
        notify_owner: NotifyOwner,
        record_audit: RecordAudit,
        transactions: Transactions,
    ) -> None:
        self._users = users
        self._second_factors = second_factors
        self._prove_second_factor = prove_second_factor
        self._prove_password = prove_password
        self._callers_device = callers_device
        self._make_recovery_codes = make_recovery_codes
        self._end_sessions = end_sessions
        self._notify_owner = notify_owner
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, code: str, password: str) -> list[str]:
        """The recovery codes, shown this once.

        Raises NotSignedIn, MalformedCode, TwoFactorNotSetUp, TwoFactorAlreadyEnabled, WrongSecondFactor, WeakPassword
        (too long), WrongPassword, AccountLocked, TooBusy.
        """
        caller = current_caller()
        user = await self._users.by_id(UUID(caller.required_user()))
        if user is None:
            raise NotSignedIn
        secret, step = await self._proposed(user, code)
        await self._prove_password(user, normal_form(password))
        codes, digests = self._make_recovery_codes(user.id)

        async def enable() -> bool:
            # Raises where the session is over: the hash takes its time, and a reset may have come in between.
            await self._callers_device()
            if not await self._second_factors.enable(user.id, secret=secret, step=step, recovery_digests=digests):
                return False
            await self._users.set_two_factor(user.id, enabled=True)
            await self._record_audit(AuditAction.TWO_FACTOR_ENABLED, user_id=user.id)
            return True

        own = UUID(caller.session_id) if caller.session_id else None
        # Before and after, as where the password is changed: no session without it outlives a process that dies here.
        await self._end_sessions(user.id, why="two_factor_enabled", but=own)
        if not await self._transactions.run(enable):
            raise TwoFactorAlreadyEnabled
        await self._end_sessions(user.id, why="two_factor_enabled", but=own)
        self._notify_owner(user, NoticeEvent.TWO_FACTOR_ENABLED)
        log.info("Second factor on", event="two_factor_enabled", account_id=str(user.id))
        return codes

    async def _proposed(self, user: User, typed: str) -> tuple[str, int]:
        """The secret and the time step of the code. Wrong ones are not counted: who asks has just seen the secret."""
        code = parse_second_factor(typed)
        factor = await self._second_factors.get(user.id)
        if factor.is_enabled:
            raise TwoFactorAlreadyEnabled
        if factor.proposed_secret is None:
            raise TwoFactorNotSetUp
        step = self._prove_second_factor.step_of(user, factor.proposed_secret, code, after=0)
        if step is None:
            raise WrongSecondFactor
        return factor.proposed_secret, step
