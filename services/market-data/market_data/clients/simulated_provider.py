"""The simulator as a source of prices."""

import asyncio
from collections.abc import Sequence
from typing import Final

from chassis.clock import Clock

from market_data.domain.price import Quote
from market_data.domain.simulator import SimulatedMarket


class SimulatedProvider:
    """Never fails; its prices are true at the moment of the call."""

    source: Final = "simulator"

    def __init__(self, *, market: SimulatedMarket, clock: Clock) -> None:
        self._market = market
        self._clock = clock

    async def fetch(self) -> Sequence[Quote]:
        """Every asset's quote at this moment."""
        # The first call searches a whole day for its extremes, about a second of work; health checks go on meanwhile.
        return await asyncio.to_thread(self._market.quotes_at, self._clock.now())
