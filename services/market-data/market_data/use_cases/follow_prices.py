"""All prices, then what changes."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from market_data.domain.price import Price
from market_data.domain.price_board import PriceBoard
from market_data.use_cases.price_feed import PriceFeed

# Followers take 3 s of silence for our death, so we say something in half of that.
HEARTBEAT_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class PriceUpdate:
    """One message of a stream. `sequence` counts from 1 without gaps; no prices means: alive, nothing new."""

    sequence: int
    snapshot: bool
    prices: Sequence[Price]


class FollowPrices:
    """Yields a snapshot, then changes, joined per asset while the reader is busy, and a heartbeat in silence.

    A source that has not answered yet delays the snapshot. Raises TooManyFollowers.
    """

    def __init__(self, *, board: PriceBoard, feed: PriceFeed, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._board = board
        self._feed = feed
        self._heartbeat_seconds = heartbeat_seconds

    async def __call__(self) -> AsyncGenerator[PriceUpdate, None]:
        # Followed before the snapshot is read, so that no change falls between the two.
        with self._feed.follow() as follower:
            while not self._board.prices and not follower.closed:
                await follower.read(patience_seconds=self._heartbeat_seconds)
            sequence = 1
            yield PriceUpdate(sequence=sequence, snapshot=True, prices=tuple(self._board.prices.values()))
            while not follower.closed:
                changed = await follower.read(patience_seconds=self._heartbeat_seconds)
                if not follower.closed:
                    sequence += 1
                    yield PriceUpdate(sequence=sequence, snapshot=False, prices=changed)
