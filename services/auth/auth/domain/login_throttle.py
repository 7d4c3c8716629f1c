"""Five failures close an address for a quarter of an hour, whether or not it has an account."""

from dataclasses import dataclass
from datetime import datetime, timedelta

FAILURES_MAX = 5
LOCK_DURATION = timedelta(minutes=15)
FORGET_AFTER = timedelta(days=1)  # a typing error of last week does not count towards today's lock


@dataclass(frozen=True, slots=True)
class LoginThrottle:
    failed_attempts: int = 0
    last_failure_at: datetime | None = None
    locked_until: datetime | None = None

    def seconds_locked(self, now: datetime) -> int:
        """Whole seconds, rounded up, until the address opens again; 0 when it is open."""
        if self.locked_until is None or self.locked_until <= now:
            return 0
        return -((now - self.locked_until) // timedelta(seconds=1))

    def after_failure(self, now: datetime) -> "LoginThrottle":
        """A failure while locked changes nothing: it must not prolong what an attacker could then keep up for ever."""
        if self.seconds_locked(now):
            return self
        attempts = self._attempts_that_count(now) + 1
        return LoginThrottle(
            failed_attempts=attempts,
            last_failure_at=now,
            locked_until=now + LOCK_DURATION if attempts >= FAILURES_MAX else None,
        )

    def _attempts_that_count(self, now: datetime) -> int:
        lock_is_over = self.locked_until is not None
        if lock_is_over or self.last_failure_at is None or self.last_failure_at + FORGET_AFTER <= now:
            return 0
        return self.failed_attempts


OPEN = LoginThrottle()
