"""Five failures close an address for a quarter of an hour, then for longer each time, whether or not it has an account.

A device that has signed in before has a throttle of its own: a stranger's guesses close the door for strangers only.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FAILURES_MAX = 5
LOCK_DURATION = timedelta(minutes=15)
LOCK_DURATION_MAX = timedelta(hours=24)  # longer would serve who wants the owner out, not who wants guesses fewer
FORGET_AFTER = timedelta(days=1)  # a typing error of last week does not count towards today's lock
_DOUBLINGS_MAX = 7  # 15 minutes doubled seven times is longer than a day


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    """`locks` counts how often it was closed without a quiet day or a sign-in since: the next one lasts longer."""

    failed_attempts: int = 0
    last_failure_at: datetime | None = None
    locked_until: datetime | None = None
    locks: int = 0

    def seconds_locked(self, now: datetime) -> int:
        """Whole seconds, rounded up, until the address opens again; 0 when it is open."""
        if self.locked_until is None or self.locked_until <= now:
            return 0
        return -((now - self.locked_until) // timedelta(seconds=1))

    def after_failure(self, now: datetime) -> "LoginThrottle":
        """A failure while locked changes nothing: it must not prolong what an attacker could then keep up for ever."""
        if self.seconds_locked(now):
            return self
        before = OPEN if self._is_forgotten(now) else self
        attempts = 1 if before.locked_until is not None else before.failed_attempts + 1
        failed = LoginThrottle(failed_attempts=attempts, last_failure_at=now, locks=before.locks)
        if attempts < FAILURES_MAX:
            return failed
        return replace(failed, locked_until=now + lock_duration(before.locks), locks=before.locks + 1)

    def _is_forgotten(self, now: datetime) -> bool:
        quiet_since = self.locked_until or self.last_failure_at
        return quiet_since is None or quiet_since + FORGET_AFTER <= now


def lock_duration(locks: int) -> timedelta:
    """How long the lock after `locks` earlier ones lasts."""
    return min(LOCK_DURATION * (1 << min(locks, _DOUBLINGS_MAX)), LOCK_DURATION_MAX)


OPEN = LoginThrottle()
