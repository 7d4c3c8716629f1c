from chassis.clock import Clock
from chassis.identity import current_caller

from auth.domain.email_address import EmailAddress
from auth.domain.users import User
from auth.use_cases.crypto_ports import Digests
from auth.use_cases.ports import LoginAttempt, LoginAttempts


class NoteAttempt:
    """Puts a sign-in on record, soon and in bulk. An unknown address is known to it by its digest alone."""

    def __init__(self, *, attempts: LoginAttempts, digests: Digests, clock: Clock) -> None:
        self._attempts = attempts
        self._digests = digests
        self._clock = clock

    def __call__(self, address: EmailAddress, user: User | None, reason: str = "") -> None:
        """`reason` is why it failed; empty where it did not."""
        self._attempts.note(
            LoginAttempt(
                user_id=user.id if user else None,
                email_digest=self._digests.of_email(address),
                address=current_caller().address,
                succeeded=not reason,
                reason=reason,
                timestamp=self._clock.now(),
            )
        )
