from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.devices import KnownDevice
from auth.domain.errors import SecondFactorLocked
from auth.domain.notices import NoticeEvent
from auth.domain.second_factor import SecondFactor, TypedCode, parse_second_factor, steps_to_try
from auth.domain.users import User
from auth.use_cases.crypto_ports import AppCodes, Digests, Seal
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import SecondFactors, SecondFactorThrottles

SECRET_PURPOSE = "second-factor"  # noqa: S105 - what the seal is for

log = get_logger(__name__)


class ProveSecondFactor:
    """Judges a code of the app, or a recovery code, and spends it: none is taken twice. Five wrong ones close it.

    Not for the account's own devices: each has five of its own, as with the password.
    """

    def __init__(
        self,
        *,
        second_factors: SecondFactors,
        throttles: SecondFactorThrottles,
        app_codes: AppCodes,
        seal: Seal,
        digests: Digests,
        notify_owner: NotifyOwner,
        clock: Clock,
    ) -> None:
        self._second_factors = second_factors
        self._throttles = throttles
        self._app_codes = app_codes
        self._seal = seal
        self._digests = digests
        self._notify_owner = notify_owner
        self._clock = clock

    async def __call__(self, user: User, typed: str, device: KnownDevice | None) -> bool:
        """False where it is wrong or spent. `device` is the known one that it comes from.

        Raises MalformedCode, SecondFactorLocked.
        """
        code = parse_second_factor(typed)
        now = self._clock.now()
        # Counted before it is judged: of codes sent at once five are looked at, even if the right one is among them.
        if await self._throttles.count_try(user.id, now, device) is None:
            throttle = await self._throttles.read(user.id, device)
            raise SecondFactorLocked(retry_after_seconds=max(1, throttle.seconds_locked(now)))
        if await self._spend(user, await self._second_factors.get(user.id), code):
            await self._throttles.forget(user.id, device)
            return True
        log.info("Second factor refused", event="second_factor_refused", account_id=str(user.id))
        return False

    def step_of(self, user: User, secret: str, code: TypedCode, *, after: int) -> int | None:
        """The time step whose code of the app it is, if it is one."""
        if code.is_recovery:
            return None
        plain = self._seal.open(secret, purpose=SECRET_PURPOSE, owner=str(user.id))
        steps = steps_to_try(self._clock.now(), after=after)
        return next((step for step in steps if self._app_codes.is_code_of_step(plain, code.text, step)), None)

    async def _spend(self, user: User, factor: SecondFactor, code: TypedCode) -> bool:
        if factor.secret is None:
            return False
        if code.is_recovery:
            digest = self._digests.of_recovery_code(user.id, code.text)
            if not await self._second_factors.spend_recovery(user.id, digest):
                return False
            self._notify_owner(user, NoticeEvent.RECOVERY_CODE_USED)
            return True
        step = self.step_of(user, factor.secret, code, after=factor.last_step)
        return step is not None and await self._second_factors.spend_step(user.id, step)
