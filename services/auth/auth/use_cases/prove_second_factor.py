from chassis.clock import Clock
from chassis.logs import get_logger

from auth.domain.errors import SecondFactorLocked
from auth.domain.notices import NoticeEvent
from auth.domain.second_factor import SecondFactor, TypedCode, parse_second_factor, steps_to_try
from auth.domain.users import User
from auth.use_cases.notify_owner import NotifyOwner
from auth.use_cases.ports import AppCodes, Digests, Seal, SecondFactors

SECRET_PURPOSE = "second-factor"  # noqa: S105 - what the seal is for

log = get_logger(__name__)


class ProveSecondFactor:
    """Judges a code of the app, or a recovery code, and spends it: none is taken twice. Five wrong ones close it."""

    def __init__(
        self,
        *,
        second_factors: SecondFactors,
        app_codes: AppCodes,
        seal: Seal,
        digests: Digests,
        notify_owner: NotifyOwner,
        clock: Clock,
    ) -> None:
        self._second_factors = second_factors
        self._app_codes = app_codes
        self._seal = seal
        self._digests = digests
        self._notify_owner = notify_owner
        self._clock = clock

    async def __call__(self, user: User, typed: str) -> bool:
        """False where it is wrong or spent. Raises MalformedCode, SecondFactorLocked."""
        code = parse_second_factor(typed)
        factor = await self._second_factors.get(user.id)
        self._refuse_if_locked(factor)
        if not factor.is_enabled:
            return False
        if await self._spend(user, factor, code):
            return True
        # As at sign-in: of codes tried in parallel, only those that were counted hear that they were wrong.
        if await self._second_factors.count_failure(user.id, self._clock.now()) is None:
            self._refuse_if_locked(await self._second_factors.get(user.id))
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
        now = self._clock.now()
        if code.is_recovery:
            digest = self._digests.of_recovery_code(user.id, code.text)
            if not await self._second_factors.spend_recovery(user.id, digest, now):
                return False
            self._notify_owner(user, NoticeEvent.RECOVERY_CODE_USED)
            return True
        step = self.step_of(user, factor.secret or "", code, after=factor.last_step)
        return step is not None and await self._second_factors.spend_step(user.id, step, now)

    def _refuse_if_locked(self, factor: SecondFactor) -> None:
        seconds = factor.throttle.seconds_locked(self._clock.now())
        if seconds:
            raise SecondFactorLocked(retry_after_seconds=seconds)
