"""How often a client may ask again: a tenth of its calls, so that retries never become the load that keeps a service
down.
"""

RATIO = 0.1
BURST = 10.0  # a client that asks seldom may still repeat


class RetryBudget:
    """Of one upstream. Over any run of n calls at most n/10 + 10 are repeated."""

    def __init__(self) -> None:
        self._tokens = BURST

    def earn(self) -> None:
        """For each call that is made."""
        self._tokens = min(BURST, self._tokens + RATIO)

    def spend(self) -> bool:
        """Whether a call may be repeated now."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
