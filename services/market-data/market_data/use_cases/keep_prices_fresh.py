"""The poll loop."""

import asyncio
from typing import Final

from chassis.clock import Clock
from chassis.logs import get_logger

from market_data.use_cases.ports import ProviderUnavailable
from market_data.use_cases.refresh_prices import RefreshPrices

log = get_logger(__name__)

# A source that is down is asked less and less, but at least this often: recovery needs nobody.
BACK_OFF_SECONDS_MAX: Final = 60.0
# A source that asks for more patience than an hour is misconfigured or lying.
RETRY_AFTER_SECONDS_MAX: Final = 3600.0


class KeepPricesFresh:
    """Refreshes every `interval_seconds`, start to start; after a failure backs off, and as long as the source asks."""

    def __init__(self, *, refresh: RefreshPrices, interval_seconds: float, clock: Clock) -> None:
        self._refresh = refresh
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._failures = 0
        self.tried = False

    async def __call__(self) -> None:
        """Runs until cancelled."""
        while True:
            started = self._clock.monotonic()
            pause_seconds = await self.turn()
            await asyncio.sleep(max(0.0, pause_seconds - (self._clock.monotonic() - started)))

    async def turn(self) -> float:
        """One refresh. Returns how many seconds after its start the next one is due."""
        try:
            await self._refresh()
        except ProviderUnavailable as error:
            self._failures += 1
            back_off_seconds = min(self._interval_seconds * 2.0 ** min(self._failures, 16), BACK_OFF_SECONDS_MAX)
            wished_seconds = min(error.retry_after_seconds or 0.0, RETRY_AFTER_SECONDS_MAX)
            pause_seconds = max(self._interval_seconds, back_off_seconds, wished_seconds)
            log.warning(
                "The price source did not answer",
                event="price_source_failed",
                problem=error.problem,
                retry_in_seconds=pause_seconds,
            )
            return pause_seconds
        else:
            if self._failures:
                log.info("The price source answers again", event="price_source_recovered", failures=self._failures)
            self._failures = 0
            return self._interval_seconds
        finally:
            self.tried = True
