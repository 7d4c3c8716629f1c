"""Leave alone who does not answer: calls to an upstream that failed several times in a row fail at once for a while."""

from chassis.clock import Clock
from chassis.errors import ErrorKind, RemoteError
from chassis.logs import get_logger
from chassis.metrics import CIRCUITS_OPENED

FAILURES_MAX = 5  # in a row; a process that restarts costs one or two
OPEN_SECONDS = 1.0  # then one call tries. What restarts here is back within seconds, and one call a second harms nobody

log = get_logger(__name__)


class CircuitOpen(RemoteError):
    """The upstream was not asked. Nothing happened there; after `retry_after_seconds` somebody will ask again."""

    def __init__(self, upstream: str) -> None:
        super().__init__(
            kind=ErrorKind.UNAVAILABLE,
            reason="unavailable",
            message=f"{upstream} did not answer and is left alone for a moment.",
            details={"retry_after_seconds": str(max(1, round(OPEN_SECONDS)))},
        )


class CircuitBreaker:
    """Of one upstream. Every call asks `admit`, and afterwards says how it went with exactly one of the other three.

    Closed: calls pass. Open: none does. Half-open, after `OPEN_SECONDS`: one passes, and decides.
    """

    def __init__(self, upstream: str, clock: Clock) -> None:
        self._upstream = upstream
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None  # None: closed
        self._probing = False

    def admit(self) -> None:
        """Raises CircuitOpen where the call must not be made."""
        if self._open_until is None:
            return
        if self._probing or self._clock.monotonic() < self._open_until:
            raise CircuitOpen(self._upstream)
        self._probing = True

    def answered(self) -> None:
        """By whatever: a refusal, too, comes from somebody who is there."""
        self._failures = 0
        if self._open_until is not None:
            self._open_until = None
            self._probing = False
            log.info("Upstream answers again", event="circuit_closed", upstream=self._upstream)

    def failed(self) -> None:
        """It could not be reached, or did not answer in its time."""
        self._failures += 1
        if self._probing:
            self._probing = False
        elif self._open_until is not None or self._failures < FAILURES_MAX:
            return
        else:
            CIRCUITS_OPENED.labels(self._upstream).inc()
            log.warning("Upstream does not answer", event="circuit_opened", upstream=self._upstream)
        self._open_until = self._clock.monotonic() + OPEN_SECONDS

    def abandoned(self) -> None:
        """The call was given up before anybody could know; the next one may try."""
        self._probing = False
