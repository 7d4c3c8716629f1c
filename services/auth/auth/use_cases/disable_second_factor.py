from uuid import UUID

from chassis.identity import NotSignedIn, current_caller
from chassis.logs import get_logger

from auth.domain.audit import AuditAction
from auth.domain.errors import TwoFactorNotEnabled, WrongSecondFactor
from auth.domain.notices import NoticeEvent
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import SecondFactors, Transactions, Users
from auth.use_cases.prove_second_factor import ProveSecondFactor
from auth.use_cases.record_audit import RecordAudit

log = get_logger(__name__)


class DisableSecondFactor:
    """Switches the second factor off, by a code of it or a recovery code."""

    def __init__(
        self,
        *,
        users: Users,
        second_factors: SecondFactors,
        prove_second_factor: ProveSecondFactor,
        callers_device: CallersDevice,
        notify_owner: NotifyOwner,
        record_audit: RecordAudit,
        transactions: Transactions,
    ) -> None:
        self._users = users
        self._second_factors = second_factors
        self._prove_second_factor = prove_second_factor
        self._callers_device = callers_device
        self._notify_owner = notify_owner
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, code: str) -> None:
        """Raises NotSignedIn, MalformedCode, TwoFactorNotEnabled, WrongSecondFactor, SecondFactorLocked."""
        user = await self._users.by_id(UUID(current_caller().required_user()))
        if user is None:
            raise NotSignedIn
        if not user.two_factor_enabled:
            raise TwoFactorNotEnabled
        if not await self._prove_second_factor(user, code, await self._callers_device()):
            raise WrongSecondFactor

        async def disable() -> bool:
            if not await self._second_factors.disable(user.id):
                return False
            await self._users.set_two_factor(user.id, enabled=False)
            await self._record_audit(AuditAction.TWO_FACTOR_DISABLED, user_id=user.id)
            return True

        if not await self._transactions.run(disable):
            raise TwoFactorNotEnabled
        self._notify_owner(user, NoticeEvent.TWO_FACTOR_DISABLED)
        log.info("Second factor off", event="two_factor_disabled", account_id=str(user.id))
