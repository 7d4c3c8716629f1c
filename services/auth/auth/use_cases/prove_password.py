from chassis.clock import Clock

from auth.domain.errors import AccountLocked, WrongPassword
from auth.domain.users import User
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.ports import LoginThrottles, Passwords


class ProvePassword:
    """Asks who is signed in for their password once more: a stolen session is not enough for what follows.

    Nor is it a place to guess: wrong ones count as at sign-in, against the session's device.
    """

    def __init__(
        self, *, throttles: LoginThrottles, passwords: Passwords, callers_device: CallersDevice, clock: Clock
    ) -> None:
        self._throttles = throttles
        self._passwords = passwords
        self._callers_device = callers_device
        self._clock = clock

    async def __call__(self, user: User, given: str) -> None:
        """`given` is in its normal form. Raises NotSignedIn, AccountLocked, WrongPassword, TooBusy."""
        device = await self._callers_device()
        self._passwords.make_sure_of_room()
        now = self._clock.now()
        # Counted before it is judged: of guesses sent at once five are looked at.
        if await self._throttles.count_failure(user.email, now, device) is None:
            throttle = await self._throttles.read(user.email, device)
            raise AccountLocked(retry_after_seconds=max(1, throttle.seconds_locked(now)))
        if not (await self._passwords.verify(given, user.password_hash)).right:
            raise WrongPassword
        await self._throttles.forget(user.email, device)
