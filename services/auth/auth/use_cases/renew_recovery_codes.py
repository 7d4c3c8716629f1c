from uuid import UUID

from chassis.identity import NotSignedIn, current_caller

from auth.domain.audit import AuditAction
from auth.domain.errors import TwoFactorNotEnabled, WrongSecondFactor
from auth.domain.notices import NoticeEvent
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.make_recovery_codes import MakeRecoveryCodes
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import SecondFactors, Transactions, Users
from auth.use_cases.prove_second_factor import ProveSecondFactor
from auth.use_cases.record_audit import RecordAudit


class RenewRecoveryCodes:
    """Ten new recovery codes in the place of what is left of the old ones, by a second factor."""

    def __init__(
        self,
        *,
        users: Users,
        second_factors: SecondFactors,
        prove_second_factor: ProveSecondFactor,
        callers_device: CallersDevice,
        make_recovery_codes: MakeRecoveryCodes,
        notify_owner: NotifyOwner,
        record_audit: RecordAudit,
        transactions: Transactions,
    ) -> None:
        self._users = users
        self._second_factors = second_factors
        self._prove_second_factor = prove_second_factor
        self._callers_device = callers_device
        self._make_recovery_codes = make_recovery_codes
        self._notify_owner = notify_owner
        self._record_audit = record_audit
        self._transactions = transactions

    async def __call__(self, *, code: str) -> list[str]:
        """Shown this once. Raises NotSignedIn, MalformedCode, TwoFactorNotEnabled, WrongSecondFactor,
        SecondFactorLocked.
        """
        user = await self._users.by_id(UUID(current_caller().required_user()))
        if user is None:
            raise NotSignedIn
        if not user.two_factor_enabled:
            raise TwoFactorNotEnabled
        if not await self._prove_second_factor(user, code, await self._callers_device()):
            raise WrongSecondFactor
        codes, digests = self._make_recovery_codes(user.id)

        async def renew() -> bool:
            if not await self._second_factors.replace_recovery(user.id, digests):
                return False
            await self._record_audit(AuditAction.RECOVERY_CODES_RENEWED, user_id=user.id)
            return True

        if not await self._transactions.run(renew):
            raise TwoFactorNotEnabled
        self._notify_owner(user, NoticeEvent.RECOVERY_CODES_RENEWED)
        return codes
