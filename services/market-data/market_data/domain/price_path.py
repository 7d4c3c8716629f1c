"""A random walk that can be read at any moment, without having walked there.

Paul Levy's construction of Brownian motion: knots far apart are drawn first, and each interval between two known points
gets its middle as the mean of its ends plus a displacement whose deviation is half that of the interval's increment.
Every displacement is a hash of (seed, stream, level, index), so a value costs one step per level, is the same in every
process and after every restart, and the path is continuous. The outermost knots are independent, so the walk returns
to its base instead of wandering off over years.
"""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b, sha256
from math import sqrt
from typing import Final

# Levels are powers of two of milliseconds: 2^33 ms, about 99 days, between independent knots ...
TOP_LEVEL: Final = 33
# ... halved down to intervals of 1.024 s, whose halves are straight lines.
BOTTOM_LEVEL: Final = 10
LEAF_LEVEL: Final = BOTTOM_LEVEL - 1
# 65.536 s: the interval whose ends are remembered, so that most reads descend only from there.
MINUTE_LEVEL: Final = 16
YEAR_MILLISECONDS: Final = 365 * 86_400_000
# The sum of two uniforms, scaled to deviation 1, never leaves this range; so the path has a hard limit on its speed.
# Sums over the levels are as good as normal; a wider range would only make the search for extremes longer.
NOISE_LIMIT: Final = sqrt(6)
NOISE_SCALE: Final = NOISE_LIMIT / 0xFFFF_FFFF
# Noise of one asset over 24 hours is some thousand points; the market's is shared by all.
NOISE_CACHE_SIZE: Final = 65_536
MINUTE_CACHE_SIZE: Final = 256
# One day decomposes into at most 2 * 17 aligned blocks, of which a second replaces two or three.
BLOCK_CACHE_SIZE: Final = 1_024


class Noise:
    """Independent numbers of mean 0 and deviation 1, by name and place."""

    def __init__(self, *, seed: str, stream: str) -> None:
        self._prefix = sha256(f"{seed}\n{stream}".encode()).digest()
        # Memory only spares work: the same place always gives the same number.
        self.at = lru_cache(maxsize=NOISE_CACHE_SIZE)(self._at)

    def _at(self, level: int, index: int) -> float:
        digest = blake2b(self._prefix + b"%d:%d" % (level, index), digest_size=8).digest()
        word = int.from_bytes(digest, "big")
        return ((word & 0xFFFF_FFFF) + (word >> 32)) * NOISE_SCALE - NOISE_LIMIT


class PricePath:
    """The logarithm of one price relative to its base, over time in Unix milliseconds.

    `volatility` is annual (0.6 is 60 % a year); `correlation` says how much of it moves with `market`.
    """

    def __init__(self, *, market: Noise, own: Noise, volatility: float, correlation: float) -> None:
        self._market = market
        self._own = own
        self._market_share = volatility * correlation
        self._own_share = volatility * sqrt(1 - correlation**2)
        self._half_deviation = [sqrt(2**level / YEAR_MILLISECONDS) / 2 for level in range(TOP_LEVEL + 1)]
        displacement_limit = [
            NOISE_LIMIT * (self._market_share + self._own_share) * deviation for deviation in self._half_deviation
        ]
        # How far the path can leave the hull of an interval's two ends: all displacements below it, at their limits.
        self._reach = [sum(displacement_limit[BOTTOM_LEVEL : level + 1]) for level in range(TOP_LEVEL + 1)]
        self._minute = lru_cache(maxsize=MINUTE_CACHE_SIZE)(self._minute_ends)
        self._block = lru_cache(maxsize=BLOCK_CACHE_SIZE)(self._block_extremes)

    def at(self, milliseconds: int) -> float:
        """The walk at one moment."""
        start, end = self._minute(milliseconds >> MINUTE_LEVEL)
        start, end = self._descend(milliseconds, start, end, MINUTE_LEVEL, LEAF_LEVEL)
        within = milliseconds & (1 << LEAF_LEVEL) - 1
        return start + (end - start) * within / (1 << LEAF_LEVEL)

    def extremes(self, first: int, last: int) -> tuple[float, float]:
        """The lowest and the highest point of the walk between two moments, both included."""
        at_first, at_last = self.at(first), self.at(last)
        low, high = min(at_first, at_last), max(at_first, at_last)
        # The walk is straight between leaf points, so its extremes lie on them or at the two ends.
        first_leaf, last_leaf = -(-first >> LEAF_LEVEL), last >> LEAF_LEVEL
        if first_leaf == last_leaf:
            alone = self.at(first_leaf << LEAF_LEVEL)
            return min(low, alone), max(high, alone)
        for level, index in _aligned_blocks(first_leaf, last_leaf):
            block_low, block_high = self._block(level, index)
            low, high = min(low, block_low), max(high, block_high)
        return low, high

    def expected_move(self, milliseconds: int) -> float:
        """The mean size of the walk's move over so long a time, by its volatility (sqrt(2/pi) deviations)."""
        return 0.7979 * sqrt(milliseconds / YEAR_MILLISECONDS * (self._market_share**2 + self._own_share**2))

    def _minute_ends(self, index: int) -> tuple[float, float]:
        milliseconds = index << MINUTE_LEVEL
        top = milliseconds >> TOP_LEVEL
        return self._descend(milliseconds, self._knot(top), self._knot(top + 1), TOP_LEVEL, MINUTE_LEVEL)

    def _descend(self, milliseconds: int, start: float, end: float, level: int, to_level: int) -> tuple[float, float]:
        """The two ends of the interval of `to_level` around a moment, from those of `level`."""
        while level > to_level:
            middle = self._middle(level, milliseconds >> level, start, end)
            level -= 1
            if milliseconds >> level & 1:
                start = middle
            else:
                end = middle
        return start, end

    def _knot(self, index: int) -> float:
        # Independent knots of deviation s differ by s * sqrt(2), which is the increment of the interval between them.
        deviation = self._half_deviation[TOP_LEVEL] * sqrt(2)
        return deviation * self._noise(TOP_LEVEL + 1, index)

    def _middle(self, level: int, index: int, start: float, end: float) -> float:
        return (start + end) / 2 + self._half_deviation[level] * self._noise(level, index)

    def _noise(self, level: int, index: int) -> float:
        return self._market_share * self._market.at(level, index) + self._own_share * self._own.at(level, index)

    def _block_extremes(self, level: int, index: int) -> tuple[float, float]:
        start, end = self.at(index << level), self.at(index + 1 << level)
        return -self._highest(level, index, -start, -end, sign=-1), self._highest(level, index, start, end, sign=1)

    def _highest(self, level: int, index: int, start: float, end: float, *, sign: int) -> float:
        """The highest leaf point of an interval, of the walk turned upside down where `sign` is -1.

        Branch and bound, the more promising half first: most of a day is never looked at.
        """
        best = max(start, end)
        waiting = [(level, index, start, end)]
        while waiting:
            level, index, start, end = waiting.pop()
            if max(start, end) + self._reach[level] <= best:
                continue
            middle = (start + end) / 2 + self._half_deviation[level] * sign * self._noise(level, index)
            best = max(best, middle)
            if level > BOTTOM_LEVEL:
                left, right = (level - 1, index * 2, start, middle), (level - 1, index * 2 + 1, middle, end)
                waiting += (right, left) if start > end else (left, right)
        return best


def _aligned_blocks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The largest power-of-two blocks that cover leaf points `first` to `last`, as (level, index)."""
    while first < last:
        size = 0
        while not first >> size & 1 and first + (2 << size) <= last and size + LEAF_LEVEL < TOP_LEVEL:
            size += 1
        yield LEAF_LEVEL + size, first >> size
        first += 1 << size
