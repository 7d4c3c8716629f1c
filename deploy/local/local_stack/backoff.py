"""How long to wait before a process that died is started again."""

from dataclasses import dataclass, field

FIRST_SECONDS = 0.2  # a killed service is back within its own start time
FACTOR = 2.0
CAP_SECONDS = 10.0  # a broken one costs little, and a mended one is noticed soon
STABLE_SECONDS = 30.0  # who lived this long is forgiven what was before


@dataclass(slots=True)
class Backoff:
    """Doubles from death to death, up to a cap; a long enough life starts it anew."""

    first_seconds: float = FIRST_SECONDS
    cap_seconds: float = CAP_SECONDS
    stable_seconds: float = STABLE_SECONDS
    _deaths: int = field(default=0, init=False)

    def after_death(self, *, lived_seconds: float) -> float:
        """Seconds to wait, given how long the process was up."""
        if lived_seconds >= self.stable_seconds:
            self._deaths = 0
        # The exponent is bounded: past the cap a larger one changes nothing and would overflow in the end.
        delay = min(self.first_seconds * FACTOR ** min(self._deaths, 32), self.cap_seconds)
        self._deaths += 1
        return delay
