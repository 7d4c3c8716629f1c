from chassis.clock import Clock

from auth.domain.devices import KnownDevice
from auth.domain.errors import AccountLocked, WrongPassword
from auth.domain.users import User
from auth.use_cases.callers_device import CallersDevice
from auth.use_cases.crypto_ports import Passwords
from auth.use_cases.ports import LoginThrottles


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
        await self._refuse_if_locked(user, device)
        check = await self._passwords.verify(given, user.password_hash)
        if not check.right:
            # Of guesses sent at once, only those that were counted hear that they were wrong.
            if await self._throttles.count_failure(user.email, self._clock.now(), device) is None:
                await self._refuse_if_locked(user, device)
            raise WrongPassword
        # A right one that was hashed while others failed must not be told from them.
        await self._refuse_if_locked(user, device)
        await self._throttles.forget(user.email, device)

    async def _refuse_if_locked(self, user: User, device: KnownDevice) -> None:
        seconds = (await self._throttles.read(user.email, device)).seconds_locked(self._clock.now())
        if seconds:
            raise AccountLocked(retry_after_seconds=seconds)
