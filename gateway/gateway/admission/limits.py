"""GCRA, the generic cell rate algorithm (ITU-T I.371): one number per key, no windows whose edges double the rate."""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.errors import RATE_LIMIT_EXCEEDED, PublicError

PERIOD_MICROSECONDS = 60_000_000  # limits are per minute
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a limit says. `remaining` requests may follow at once; after `reset_seconds` the whole limit is back."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    # 0 where allowed.
    retry_after_seconds: int = 0


def verdict(*, allowed: bool, limit: int, spent_microseconds: int, retry_microseconds: int) -> Verdict:
    """`spent_microseconds`: how far the key's theoretical arrival time lies ahead of now."""
    interval = interval_microseconds(limit)
    return Verdict(
        allowed=allowed,
        limit=limit,
        remaining=max(0, (PERIOD_MICROSECONDS - spent_microseconds) // interval),
        reset_seconds=_ceil_seconds(spent_microseconds),
        retry_after_seconds=0 if allowed else max(1, _ceil_seconds(retry_microseconds)),
    )


def rate_limited(verdict: Verdict) -> PublicError:
    seconds = str(verdict.retry_after_seconds)
    return PublicError(
        RATE_LIMIT_EXCEEDED,
        f"Too many requests. Please wait {seconds} seconds.",
        {"reason": "rate_limited", "limit": str(verdict.limit), "retry_after_seconds": seconds},
        headers=(("Retry-After", seconds),),
    )


def interval_microseconds(limit: int) -> int:
    """What one request costs of the period."""
    return max(1, PERIOD_MICROSECONDS // limit)


def _ceil_seconds(microseconds: int) -> int:
    return -(-max(0, microseconds) // _MICROSECONDS)


class LocalLimits:
    """The same algorithm in memory, for when Redis does not answer and for what is too frequent to ask it.

    Bounded: the keys seen longest ago are forgotten first, which only ever gives, never takes.
    """

    def __init__(self, *, keys_max: int = 50_000) -> None:
        self._keys_max = keys_max
        # Key -> theoretical arrival time, in microseconds of the caller's clock.
        self._arrivals: OrderedDict[str, int] = OrderedDict()

    def take(self, key: str, *, limit: int, now_microseconds: int) -> Verdict:
        interval = interval_microseconds(limit)
        arrival = max(self._arrivals.get(key, 0), now_microseconds) + interval
        ahead = arrival - now_microseconds
        if ahead > PERIOD_MICROSECONDS:
            return verdict(
                allowed=False,
                limit=limit,
                spent_microseconds=ahead - interval,
                retry_microseconds=ahead - PERIOD_MICROSECONDS,
            )
        self._remember(key, arrival)
        return verdict(allowed=True, limit=limit, spent_microseconds=ahead, retry_microseconds=0)

    def give_back(self, key: str, *, limit: int) -> None:
        """What `take` has just taken."""
        self._arrivals[key] -= interval_microseconds(limit)

    def raise_to(self, key: str, arrival_microseconds: int) -> None:
        """Learn that others have spent of the same limit."""
        if arrival_microseconds > self._arrivals.get(key, 0):
            self._remember(key, arrival_microseconds)

    def _remember(self, key: str, arrival: int) -> None:
        self._arrivals[key] = arrival
        self._arrivals.move_to_end(key)
        while len(self._arrivals) > self._keys_max:
            self._arrivals.popitem(last=False)
