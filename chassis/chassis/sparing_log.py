"""Lines that strangers can cause: one now and then, which says how many were left out."""

from chassis.clock import Clock

PAUSE_SECONDS = 10.0  # enough to see an attack begin and go on; the metrics count each


class SparingLog:
    """Of few kinds: each is remembered for good. Never name a kind after what a stranger sent."""

    def __init__(self, clock: Clock, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._clock = clock
        self._pause_seconds = pause_seconds
        # Kind -> when its next line may be written, and how many were left out since the last.
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def turn(self, kind: str) -> int | None:
        """None where this line is to be left out; else how many were before it."""
        now = self._clock.monotonic()
        if now < self._next.get(kind, now):
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return None
        self._next[kind] = now + self._pause_seconds
        return self._left_out.pop(kind, 0)
